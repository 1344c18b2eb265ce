// Package compaction holds what a compaction item stands for: the summary of a
// history, and what of it is kept word for word. A client carries the item for
// us, as text that says nothing to it.
//
// Promised: text that Open takes was sealed here for the same tenant,
// unchanged. What a client makes up, changes, or has from another tenant is
// refused, so that a client cannot forge a developer's words with it. Not
// promised: that an old item is the newest of its history; a client may give
// back any that it was given.
//
// # Decisions
//
//   - The seal is AES-256-GCM with random nonces, good for 2^32 items of one secret. Its key follows from a secret by HKDF, the tenant
//     is authenticated along. Nothing tells which secret has sealed a text: there are a few at most, and all are tried.
//   - The secrets are of their own. The pepper of API keys is the gateways' alone and the dispatch key the workers'; giving either to
//     the others would let each do the other's work.
//   - What an item holds is opened when it is accepted, so that a bad one is a 400, and again on the way to each model. It is kept
//     sealed in between: clients are given back what they sent, and a copy of the database says less.
package compaction

const (
	// Item is the type of a compaction item.
	Item = "compaction"
	// Trigger is the type of an input item that asks for a compaction. It comes
	// last, and says nothing to a model.
	Trigger = "compaction_trigger"
)

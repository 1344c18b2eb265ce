// Package compaction holds what a compaction item replaces: the summary of a
// history, and the messages that are kept word for word. Clients carry the item
// as an opaque text.
//
// It promises that text which Open accepts was sealed here for the same tenant,
// unchanged (TestWhatIsNotOpened). Text that a client makes up,
// changes, or has from another tenant is refused, so that it cannot smuggle
// words into a developer's messages. It does not promise that an item is the
// newest of its history; a client may send back any item that it received.
//
// # Decisions
//
//   - The seal is AES-256-GCM with random nonces, good for 2^32 items of one
//     secret. The key is derived from a secret by HKDF, and the tenant is
//     authenticated along. The text does not name its secret: there are few,
//     and all are tried.
//   - The secrets are separate. Only gateways have the pepper of API keys and
//     only workers the dispatch key; sharing either would let each do the
//     other's work.
//   - An item is opened when it is accepted, so that a bad one is a 400, and
//     again for each model call. It stays sealed in between: clients get back
//     what they sent, and a copy of the database reveals less.
package compaction

const (
	// Item is the type of a compaction item.
	Item = "compaction"
	// Trigger is the type of an input item that asks for a compaction. It comes
	// last, and models do not see it.
	Trigger = "compaction_trigger"
)

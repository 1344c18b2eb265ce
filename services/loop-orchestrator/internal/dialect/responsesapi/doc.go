// Package responsesapi implements the Responses dialect for upstreams that have
// the Responses API themselves: it encodes a call as a response request and
// decodes the answer, whole or in events. It is pure: no SQL, no NATS, no HTTP.
//
// The upstream stores nothing: store is false, and each call sends the whole
// history. Items are sent without ids, which an upstream with store=false would
// look up; calls and their outputs are paired by the upstream's own call ids.
// What an upstream attached to an item is sent back to it, and so is its
// reasoning: encrypted reasoning in the form that OpenAI gives out, plain
// reasoning as it came, with its id (TestHistoryOfItsOwn). Plain reasoning of
// another upstream is not sent, because an input has no place for it.
//
// Decoding is lenient: members of any type, items without a type, unknown
// parts, events without indexes or ids. The streamed text is the answer,
// whatever the last event repeats (TestStream); only calls have to match,
// because a tool acts on them.
//
// Custom tools and namespaces belong to the client and are sent along. Hosted
// tools of the upstream are not: they would run on the operator's account, with
// its data, for every tenant. Items of hosted tools that an upstream runs
// anyway, and items of unknown types, are not part of the answer.
package responsesapi

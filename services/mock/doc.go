// Package mock is the scripted model and tool server for tests, the benchmark
// and the demo.
//
// A plan travels in the input: the last user message that contains "plan:" and
// a JSON object scripts everything that happens. So one server serves any
// number of scenarios at once, without set-up between them.
//
// It promises:
//   - The same plan gives the same calls, ids, results, usage and final text
//     (TestStreamIsTheSameTurn).
//   - The final text depends on what the model received: it reads every tool
//     result from the conversation, by its call id. [Plan.Answer] returns the
//     text of a right run (TestRunEndsWithThePlansAnswer).
//   - A conversation whose calls and outputs do not pair is refused with 400,
//     as by OpenAI's API, so that a wrong loop cannot finish
//     (TestBrokenConversationsAreRefused).
//   - Every call that could be read is in the ledger from its arrival, with its
//     idempotency key, until the ledger is full; the calls that do not fit are
//     counted (TestLedgerIsBounded).
//   - Every wait ends when the client leaves or the server is closed
//     (TestCloseCutsWhatWaits).
//
// It does not promise all of OpenAI's API; authentication, because it only
// records whether a credential came; or separate attempt counts for two runs
// that share a seed and send no idempotency key. Give every run its own seed.
//
// A new fault is an entry in internal/fault/modes.go.
package mock

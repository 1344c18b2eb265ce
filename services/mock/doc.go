// Package mock is the scripted upstream model and tool server that tests, the
// benchmark and the demo run against.
//
// A plan travels in the input: the last user message that contains "plan:"
// followed by a JSON object scripts everything that happens, so one server
// serves any number of scenarios at once and needs no set-up between them.
//
// What it promises:
//   - The same plan gives the same calls, ids, results, usage and final text.
//   - The final text is a function of what the model was really shown: every
//     tool result is read back from the conversation, under the call id it was
//     asked for. [Plan.Answer] says what the text must be.
//   - A conversation whose calls and outputs do not pair is refused with 400,
//     as OpenAI's API does, so a broken loop cannot pass for a good one.
//   - Every call that could be read is in the ledger from the moment it
//     arrived, with its idempotency key, until the ledger is full; what did not
//     fit is counted.
//   - Every wait ends when the client leaves or the server is closed.
//
// What it does not promise: the whole of OpenAI's API, authentication (it only
// notes whether a credential came), or separate attempt counts for two runs
// that share a seed and send no idempotency key. Give every run its own seed.
package mock

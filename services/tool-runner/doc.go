// Package toolrunner makes the tool calls of one or more pools: it takes commands from the bus, calls the tool over HTTP
// and publishes what came of it in the step stream. It holds no database credential, and nothing in it leads to one.
//
// What it promises:
//
//   - A command is acknowledged only after its result is stored in the step stream. Every command that is not cancelled gets
//     a result: a tool that is unknown, unreachable, slow or wrong has failed, and the failure is the result.
//   - A result that cannot be published is kept, and its message with it, for as long as the process lives.
//   - Before a call that may have been made before (a redelivery, a command marked as a repeat, or one whose request a cancel
//     hint named) it asks a loop-orchestrator whether the call is still due, and waits for the answer. First deliveries ask
//     nobody. Two deliveries of one command in one process are one call.
//   - An at_most_once tool is called only after its mark was stored as the first of its subject, and never for a repeat or
//     while marks may be lost: then the result says that the outcome is unknown. Such a call is never tried again. If the
//     mark cannot be stored because its stream is full, the call is not made and may be tried again.
//   - A cancelled request's call is broken off and has no result. A cancel hint counts once an orchestrator confirms it.
//   - The sixth delivery of a command that is still due is given up: its failure and a dead letter are published, then it is
//     terminated.
//
// What it does not promise:
//
//   - That a tool that is not at-most-once is called once. A process that dies between call and result, and a step stream that
//     loses a result, lead to a second call with the same Idempotency-Key.
//   - That at_most_once outlives a purge of the stream of marks.
//   - That a drain waits for a call. One that outlasts the grace is broken off and its command handed back; a result that
//     could not be published by then is lost with the process.
//   - To go on with redelivered commands while no loop-orchestrator runs.
//   - To decide on retries. It reports; the row decides.
package toolrunner

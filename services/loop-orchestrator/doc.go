// Package looporchestrator runs the model loop, one turn at a time: it calls
// the model, commits what the model said, dispatches the tool calls that it
// asked for, and commits what the tools answered.
//
// # Rooms
//
//   - turn handles turn commands: take, call, commit, dispatch, retry.
//   - modelcall makes a turn's model call, for each kind of endpoint.
//   - results commits tool results in groups.
//   - ask answers tool-runners that ask whether a call is still due.
//   - live writes the events of streamed requests; lineage reads what a request
//     continues.
//   - plan, compact, tokens, model and dialect decide and translate. They reach
//     neither bus nor store.
//   - upstream and onecall speak HTTP with model servers.
//
// # Promises
//
// A turn is committed once, whatever is killed, because the row's attempt is
// the fence (TestATakerOfARedeliveredTurnRaisesItFirst). A cancelled turn
// commits nothing (TestACancelledTurnCommitsNothing). A drain hands turns over
// without counting a crash (TestADrainingOrchestratorHandsItsTurnOver).
//
// It does not promise that a model is called once: a crash between the answer
// and its commit repeats the call.
package looporchestrator

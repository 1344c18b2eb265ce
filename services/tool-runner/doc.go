// Package toolrunner makes the tool calls of one or more pools: it takes
// commands from the bus, calls the tool over HTTP, and publishes the result in
// the step stream. It has no database credential, and imports no package that
// uses one.
//
// It promises:
//
//   - A command is acknowledged after its result is stored. Each command that
//     is not cancelled gets a result: a tool that is unknown, unreachable, slow
//     or broken has failed, and the failure is the result
//     (TestFailuresAreResults).
//   - A result that cannot be published is kept, with its message, as long as
//     the process lives (TestOutageKeepsTheResult,
//     TestLostStreamsKeepTheResult).
//   - A call that may have been made before (a redelivery, a repeat, or one
//     that a cancel hint names) is made only after a loop-orchestrator has
//     confirmed that it is due. Two deliveries of a command in one process make
//     one call (TestCallWithResultIsNotMadeAgain,
//     TestUnansweredQuestionHoldsTheCommand, TestTwoDeliveriesAtOnce).
//   - An at_most_once tool is called only after its mark is stored as the first
//     of its subject, and never for a repeat or while marks may be lost. The
//     result then says that the outcome is unknown. The call is never retried,
//     unless its mark could not be stored because the stream is full
//     (TestAtMostOnce, TestAtMostOnceCallNeedsRoomForItsMark).
//   - The call of a cancelled request is stopped and has no result. A cancel
//     hint counts once an orchestrator confirms it
//     (TestCancelBreaksTheCallOff).
//   - Runners that die do not count against the calls that they held. From its
//     third delivery on a process of its own makes a call. The fifth time it
//     ends that process, its failure and a dead letter are published
//     (TestInnocentCallsSurviveTheDeathsOfTheirRunners,
//     TestACallThatEndsItsProcessIsGivenUp). Without such processes the sixth
//     delivery is given up (TestPoison).
//
// It does not promise that other tools are called once: a process that dies
// between call and result, and a step stream that loses a result, lead to a
// second call with the same Idempotency-Key. A drain does not wait for a call
// longer than the grace (TestDrain). Without a loop-orchestrator, redelivered
// commands wait. Retries are decided by the row, not here.
package toolrunner

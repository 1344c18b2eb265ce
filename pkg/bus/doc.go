// Package bus is all that Windlass knows about NATS. A Bus is one connection:
// it publishes, runs consumers, carries hints and questions, and keeps streams
// and consumers in existence. The rooms below it:
//
//   - subject and message: what a message is called, and what it carries.
//   - consume: handlers, leases, cancels, and the one place that acknowledges.
//   - live: the live streams of answers.
//   - internal/topology and internal/conn: how streams and consumers are
//     configured; the connection that ensures, repairs and watches them.
//
// It promises:
//
//   - A second publish of the same command is harmless. Command streams keep
//     one message per subject and refuse a second one; Publish counts the
//     refusal as success (TestPublishCountsQueuedCommandsAsRefused).
//   - Missing streams and consumers are created again and work goes on
//     (TestStreamDeletedWhileRunningIsMadeAgainAndReported,
//     TestConsumerDeletedWhileRunningIsMadeAgain). A stream whose files
//     are gone is replaced (TestAStreamThatLostItsFilesIsMadeAgain); no other
//     stream is ever deleted (TestAStreamThatWouldComeBackIsKept).
//   - TURN, TOOL, FINAL and MARK at their limit in bytes refuse a message with
//     ErrFull (TestFullWorkQueueRefuses, TestFullMarkStreamRefuses). STEP, LIVE
//     and DEAD drop their oldest (TestFullStepStreamDropsTheOldest,
//     TestFullLiveStreamLosesStreams, TestFullDeadStreamDropsTheOldest).
//
// It does not promise that a stream keeps what it acknowledged: WatchStreams
// reports a loss, and the rows say what is due. Nor that hints (wake, cancel,
// done) arrive: they only spare a poll.
//
// Rejected: one consumer per request (a cluster carries thousands of consumers,
// not millions); server-side BackOff and MaxDeliver (the row counts attempts,
// and a message past MaxDeliver stays in a work queue and refuses every
// republish); a dedup window by Nats-Msg-Id (it forgets too early and survives
// a purge).
package bus

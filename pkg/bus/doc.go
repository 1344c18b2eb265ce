// Package bus is everything Windlass knows about NATS: streams and consumers,
// subjects, publishing, consuming, and the one place that acknowledges.
//
// What it promises:
//
//   - Publishing the same command twice is harmless. Command streams keep one message per subject and refuse a second one,
//     and the subject ends in the step's identity; the refusal is counted as success by Publish.
//   - A message is acknowledged after its handler returned, never before, and only here (see decide).
//   - A handler that lives keeps its message: the lease is renewed every third of AckWait until the handler returns. A
//     handler whose process dies loses it after AckWait.
//   - A drain hands back what was pulled and not begun, lets handlers end within their grace, and waits for every
//     goroutine.
//   - Missing streams and consumers are made again and work goes on; Run and RunBatches return no error for them. The same holds
//     for a stream whose files are gone; nothing else is ever deleted whole.
//
// What it does not promise:
//
//   - That a message is handled once. Redelivery, a republish after an ack and a renewal that came too late all lead to a
//     second call; the row's fence in the store makes that harmless.
//   - That an acknowledgement arrives. It is sent, not awaited.
//   - That a stream keeps what it acknowledged. WatchStreams says when one was lost; the rows say what is due.
//   - That hints (wake, cancel, done) arrive. They only spare a poll.
//
// Every stream has a limit in bytes, MaxBytes. At its limit:
//
//   - TURN, TOOL and FINAL refuse a command: Publish returns ErrFull, the row
//     stays due, and the sweep publishes it when there is room
//     (TestFullWorkQueueRefuses).
//   - STEP drops its oldest events. A result that is dropped before its commit
//     counts as lost: the call is repeated under its key, an at_most_once call
//     ends with an unknown outcome. History never stops work
//     (TestFullStepStreamDropsTheOldest).
//   - MARK refuses a mark, and the at_most_once call is not made: Begin returns
//     ErrFull. No earlier mark is dropped for it (TestFullMarkStreamRefuses).
//   - LIVE drops its oldest frames. Readers of those streams get stream_lost, the
//     runs go on (TestFullLiveStreamLosesStreams).
//   - DEAD drops its oldest entries (TestFullDeadStreamDropsTheOldest).
//
// A subject of STEP is step.<tenant>.<request>.<event>: three for a request.
// The server keeps about 440 B of memory for each subject, so that one for each
// message, as in earlier versions, took 667 MB for 1.5 M messages. Streams,
// consumers and ToolResults also take that earlier form, which ends in
// <identity>.<event>.
//
// A tool-runner reads no stream but its commands. What it needs to know about a
// command that may have been served, it asks (Ask, Answer).
//
// Rejected: one consumer per request (a cluster carries thousands of consumers,
// not millions); server-side BackOff and MaxDeliver (the row counts attempts; a
// message past MaxDeliver stays in a work queue and refuses every republish); a
// dedup window by Nats-Msg-Id (it forgets too early and survives a purge).
package bus

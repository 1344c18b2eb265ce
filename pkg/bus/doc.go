// Package bus is everything Windlass knows about NATS: streams and consumers, subjects, publishing, consuming, and the one
// place that acknowledges.
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
//   - Missing streams and consumers are made again and work goes on; Run and RunBatches return no error for them.
//
// What it does not promise:
//
//   - That a message is handled once. Redelivery, a republish after an ack and a renewal that came too late all lead to a
//     second call; the row's fence in the store makes that harmless.
//   - That an acknowledgement arrives. It is sent, not awaited.
//   - That a stream keeps what it acknowledged. WatchStreams says when one was lost; the rows say what is due.
//   - That hints (wake, cancel, done) arrive. They only spare a poll.
//
// Rejected: one consumer per request (a cluster carries thousands of consumers, not millions); server-side BackOff and
// MaxDeliver (the row counts attempts; a message past MaxDeliver stays in a work queue and refuses every republish);
// a dedup window by Nats-Msg-Id (it forgets too early and survives a purge).
package bus

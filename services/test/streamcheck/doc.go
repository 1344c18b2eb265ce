// Package streamcheck checks the streams that Windlass sends. Every test that
// reads a stream uses it.
//
// It promises to find every breach of these rules in the raw bytes of a whole
// stream, with the number of its frame (TestBrokenStreams, TestBrokenFrames,
// TestLists):
//   - framing: a frame has one event line and one data line of JSON; its event
//     is the data's type; no frame has an id; the last is [DONE].
//   - sequence: sequence numbers count up from 0 by one.
//   - order: one response.created, first; response.queued and
//     response.in_progress before any item; exactly one of response.completed,
//     failed and incomplete, last; an error is followed by response.failed; all
//     events have the same response, with the status of the event.
//   - item: output_index and content_index count up from 0; an event's item and
//     part exist, are of the event's kind and open, and are closed once.
//   - text: the joined deltas of a part or of arguments equal the text of the
//     done event, the part and the item.
//   - list: a list of a server's tools is empty when it is added, in progress
//     and then completed or failed like its error, before it is done, and
//     before the model's output; the stream of a request without a tool server
//     has no list event.
//   - final: the output of the last response object equals the done items.
//   - error: only an error event has a top-level member "error", which SDKs
//     take for an error.
//
// A second response.in_progress is a snapshot: a worker was lost, and the next
// one starts from the output in the snapshot. Its items are open or done
// according to their status; all other items are dropped.
//
// It does not check events against schemas; package spectest does.
package streamcheck

// Package streamcheck judges the streams that Windlass sends: one checker for every test that reads one.
//
// It promises to find, in the raw bytes of a whole stream, every breach of these rules, and to say at which frame:
//   - framing: a frame is one event line and one data line of JSON, its event is the data's type, none has an id, the last is [DONE].
//   - sequence: sequence numbers count up from 0 by one.
//   - order: one response.created, first; response.queued and response.in_progress before any item; exactly one of
//     response.completed, failed and incomplete, last; an error is followed by response.failed; all speak of one response, whose status
//     is what the event says.
//   - item: output_index and content_index count up from 0; what an event speaks of is open, of the event's kind, and closed once.
//   - text: the deltas of a part or of arguments, put together, are what its done event, its part and its item say.
//   - list: a list of a server's tools is empty when it is added, in progress and then completed or failed, as its error says, before it is
//     done, and told before what the model says; the stream of a request that names no tool server has no event of one.
//   - final: the output of the last response object is the items as they were done.
//   - error: no event but error has a top-level member of that name, which SDKs take for one.
//
// A second response.in_progress is a snapshot: a worker was lost, and the next one begins again from the output that it holds. What
// the snapshot has, is open or done as its status says; what it has not, was never said.
//
// It does not promise that events are as a schema wants them; package spectest knows the schemas. It is for tests.
package streamcheck

// Package relay holds the JSON of the endpoints that are one model call whose
// bodies pass through: chat completions, completions and embeddings. The
// upstream defines what they take, so a body is kept as the client sent it, and
// only what the relay depends on is read.
//
// Promises: an upstream gets the client's body with its own name for the model,
// without a stream that is not wanted, and with a request for the usage of one
// that is. The client gets the upstream's answer, chunk by chunk of a stream,
// with the client's name for the model. Everything else stays the bytes it was,
// except what package raw removes from every text: line breaks between tokens
// and lone surrogates. The usage at the end of a stream is held back from
// clients that did not ask for it.
//
// An answer in another form than the client asked for is converted: Join makes
// one answer of chunks (TestJoin), Answer.Chunks makes chunks of one answer
// (TestChunks). Chunks get the choices and deltas that clients rely on.
//
// A body is checked, with the words and limits of package responses, for being
// one JSON object in UTF-8 with bounded nesting, a model, an input of the right
// type, and valid stream options. The upstream refuses everything else.
package relay

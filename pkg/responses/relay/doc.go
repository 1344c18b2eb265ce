// Package relay holds the JSON of the endpoints that are one model call and
// pass through: chat completions, completions and embeddings. What they take
// belongs to the upstream that serves the model, so a body is kept as the
// client sent it and only what the way there and back depends on is read.
//
// Promised: an upstream gets the client's body with model as its own name for
// it, without a stream that is not wanted, and asked for the usage of one that
// is, whatever else is in it and however often; the client gets the upstream's
// answer, chunk by chunk of a stream, with the name it used itself. Everything
// else stays the bytes it was, except what package raw takes out of every text:
// line breaks between tokens and lone surrogates. The usage at the end of a
// stream is removed for clients that did not ask for it.
//
// An answer that came in another form than the client asked for is put into
// that one: Join makes one answer of chunks (TestJoin), Answer.Chunks makes
// chunks of one answer (TestChunks). Chunks get the choices and deltas that
// clients rely on.
//
// Checked here, with the words and limits of package responses: that the body
// is one JSON object in UTF-8 that is not nested too deeply, that a model is
// named, that what the model is to read is there and of the right type, and
// that what is said of streams is of the right type. All else is the upstream's
// to refuse.
package relay

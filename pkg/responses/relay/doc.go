// Package relay holds the JSON of the endpoints that are one model call and pass through: chat completions, completions and
// embeddings. What they take belongs to the upstream that serves the model, so a body is kept as the client sent it and only what
// the way there and back depends on is read.
//
// Promised: an upstream gets the client's body with model as its own name for it and without stream, whatever else is in it and
// however often; the client gets the upstream's answer with the name it used itself. Everything else stays the bytes it was, but
// for what package raw takes out of every text: line breaks between tokens and lone surrogates.
//
// Checked here, with the words and limits of package responses: that the body is one JSON object in UTF-8 that is not nested too
// deeply, that a model is named, that what the model is to read is there and of the right type, and that stream is a boolean.
// All else is the upstream's to refuse.
package relay

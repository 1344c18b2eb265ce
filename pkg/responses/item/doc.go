// Package item holds the items of requests and responses: messages, function
// calls and their outputs, reasoning, calls of hosted tools.
//
// An Item keeps the JSON it came in, which is what is stored, echoed and sent
// on; the typed fields and methods are a view of it. The JSON is valid, in
// UTF-8 and on one line, nested at most 64 deep. U+0000 stays the escape \u0000
// in it and becomes a NUL byte in the typed strings: columns of type text or
// jsonb refuse both, so items are stored as bytea. A surrogate escape without
// its partner is replaced by \ufffd when it is read.
//
// Known types are checked strictly. Unknown types and unknown fields are kept,
// because agents send back what other servers returned. The parts of messages
// and outputs must be of known types: an unknown part would silently drop what
// a user wrote.
//
// Items are values, safe for concurrent use, and alias the text they were read
// from, which must not be changed.
package item

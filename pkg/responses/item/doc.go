// Package item holds the items that requests and responses consist of:
// messages, function calls and their outputs, reasoning, calls of hosted tools.
//
// An Item keeps the JSON it came in, and that JSON is what is stored, echoed
// and sent on; the typed fields and methods are a view of it. The JSON is
// valid, in UTF-8 and on one line, nested at most 64 deep. U+0000 stays the
// escape \u0000 in it and becomes a NUL byte in the typed strings: columns of
// type text or jsonb refuse both, so items belong into bytea. A surrogate
// escape without its partner was replaced by \ufffd on the way in.
//
// Known types are checked strictly. Unknown types are kept as they came, since
// agents send back what other servers gave them; unknown fields likewise. The
// parts of messages and outputs must be of known types, because ignoring a
// part would silently drop what a user said.
//
// Items are values, safe for concurrent use, and alias the text they were read
// from: do not change that.
package item

// Package responses holds the JSON of the Responses API: what POST /v1/responses
// takes, and the response object it answers. Items are in responses/item, tools
// and tool_choice in responses/tool, errors in responses/fault.
//
// What comes in is taken generously: unknown fields, unknown types of tools and
// unknown types of items are kept, never refused, since agents send fields that
// are newer than this server. What is known is checked as OpenAI's API checks
// it, with the same codes, messages and paths. A null is the same as an absent
// field, everywhere.
//
// Schemas have to be schemas. Those that are to be kept to strictly are held to
// OpenAI's rules as well: closed objects, every property required, ten levels,
// no keywords that no model can be kept to. The format json_object wants the
// word "json" in what the model reads, for a model that is held to JSON and is
// not told fills its answer with blanks: in the input, as with OpenAI, or in the
// instructions; what continues something may have it there.
//
// What goes out is strict: every required field of ResponseResource of the Open
// Responses specification (release 2026-04-24) is there with a value of its
// type, for whatever Decode let in, with four exceptions. A client that sends a
// tool, a tool_choice or a reasoning effort that the specification does not
// have gets it echoed as OpenAI echoes it; and calls of server-side tools are
// mcp_call items, which are OpenAI's. The schema of a json_schema format is
// echoed as null, because the specification allows nothing else.
//
// Text. A request must be one JSON text in UTF-8 without byte order mark, nested
// at most 64 deep, schemas 512. U+0000 is allowed and stays the escape \u0000 in
// all JSON that is kept; in typed strings it is a NUL byte, which columns of
// type text and jsonb refuse. A surrogate escape without its partner becomes
// \ufffd, in JSON and strings alike. Line breaks between tokens are taken out,
// so that all JSON that is kept fits in one line of an event stream.
//
// Everything read aliases the body it was read from, which must not be changed.
// Values are safe for concurrent reading. Nothing here does I/O.
package responses

// Package responses holds the JSON of the Responses API: the body of POST
// /v1/responses and the response object. Items are in responses/item, tools and
// tool_choice in responses/tool, errors in responses/fault.
//
// Requests are read leniently: unknown fields, tool types and item types are
// kept and never refused, because agents send fields that are newer than this
// server. Known fields are checked as OpenAI's API checks them, with the same
// codes, messages and paths. A null equals an absent field everywhere.
//
// Schemas must be valid. Strict ones must also obey OpenAI's rules: closed
// objects, every property required, ten levels, and no keyword that a model
// cannot be held to. The format json_object wants the word "json" in what the
// model reads, because a model that is held to JSON without knowing it fills
// its answer with blanks: in the input, as with OpenAI, or in the instructions.
// What continues a history may have the word there.
//
// Responses are written strictly: every required field of ResponseResource of
// the Open Responses specification (release 2026-04-24) is present with a value
// of its type, whatever Decode accepted, with four exceptions. A tool, a
// tool_choice or a reasoning effort that the specification does not have is
// echoed as OpenAI echoes it; calls of server-side tools are mcp_call items,
// which are OpenAI's. The schema of a json_schema format is echoed as null,
// because the specification allows nothing else.
//
// Text: a request is one JSON text in UTF-8 without byte order mark, nested at
// most 64 deep, schemas 512. U+0000 is allowed and stays the escape \u0000 in
// all JSON that is kept; in typed strings it is a NUL byte, which columns of
// type text and jsonb refuse. A surrogate escape without its partner becomes
// \ufffd, in JSON and in strings. Line breaks between tokens are removed, so
// that all JSON that is kept fits on one line of an event stream.
//
// What is read aliases the body, which must not be changed. Values are safe for
// concurrent reading. The package does no I/O.
package responses

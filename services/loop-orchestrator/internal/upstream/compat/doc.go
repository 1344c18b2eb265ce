// Package compat changes request bodies so that the server which gets them
// accepts them, and learns from refusals what a server does not accept.
//
// Bodies come in OpenAI's form. The settings of an upstream and what was learnt
// become a list of Changes, which are applied to the JSON text. It calls no
// server and knows no HTTP.
//
// It promises that a change never alters what a client asked for unless a
// setting says so. A parameter is left out after a refusal only if it is in
// omittable, which lists hints and what Windlass adds by itself; the bound of
// an answer is only ever sent under its other name. In a body that a client
// wrote itself, none of its members is left out after a refusal: the refusal is
// the client's to see. TestRefusals and TestWhatIsNeverLeftOut hold that.
//
// Members that no change is about stay the bytes they were, in their order.
//
// Decision: changes are made on the JSON text, after the dialects. Three kinds
// of bodies (chat completions of responses, the Responses API, and bodies of
// clients) share one set of rules this way, and a refused request is sent again
// without encoding it again. Rejected: settings within each dialect, which
// needs every rule three times.
package compat

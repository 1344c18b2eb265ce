// Package compat changes request bodies to what a model server accepts, and
// learns from refusals what a server does not accept.
//
// Bodies have OpenAI's form. The settings of an upstream and its earlier
// refusals become a list of Changes, which are applied to the JSON text. The
// package is pure: it makes no calls.
//
// A change never alters what a client asked for unless a setting says so. A
// refusal leaves out only the parameters in omittable: hints, and what Windlass
// adds itself. The bound of an answer is only renamed. In a body that a client
// wrote, no member of the client is left out after a refusal, so that the
// client sees the refusal (TestRefusals, TestWhatIsNeverLeftOut). Members that
// no change names keep their bytes and their order (TestApply).
//
// Decision: changes are made on the JSON text, behind the dialects. Three kinds
// of bodies (chat completions of responses, the Responses API, and bodies of
// clients) share one set of rules, and a refused request is sent again without
// encoding it again. Rejected: settings in each dialect, which needs every rule
// three times.
package compat

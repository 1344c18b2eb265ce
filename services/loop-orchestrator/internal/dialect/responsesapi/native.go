// Package responsesapi speaks the Responses dialect to upstreams that have it themselves: it turns a request and its turns into an upstream's
// request, and reads the upstream's answer, whole or in events. It knows neither SQL nor NATS.
//
// It promises that the upstream keeps nothing: store is false, and the whole history is sent with every call. Items have no ids, which an
// upstream with store=false would look up; calls and outputs are paired by the upstream's own call ids. What an upstream attached to an item
// goes back to it, and so does what the model thought: sealed reasoning in the form that its maker gave out, open reasoning as it came, id
// included (TestHistoryOfItsOwn). Reasoning that another upstream left open does not, for the specification has no place for it in an input.
//
// Answers are read liberally: members of any type, items without a type, unknown parts, events without places or ids. What was streamed is
// the answer, whatever the last event repeats of it (TestStream); only calls have to agree, because a tool acts on them.
//
// Custom tools and namespaces are the client's and go along. Hosted tools of the upstream do not: they would run on the operator's account, and with
// what it holds, for every tenant. What an upstream does by itself all the same, and items that nobody here knows, are not part of the answer.
package responsesapi

// Dialect is the Responses dialect.
type Dialect struct{}

// Path is the endpoint's.
func (Dialect) Path() string { return "/responses" }

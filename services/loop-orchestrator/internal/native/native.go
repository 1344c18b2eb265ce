// Package native speaks the Responses dialect to upstreams that have it themselves: it turns a request and its turns into an upstream's
// request, and reads the upstream's answer, whole or in events. It knows neither SQL nor NATS.
//
// It promises that the upstream keeps nothing: store is false, the whole history is sent with every call, and no item has an id, which
// an upstream would look for among what it has kept. Calls and outputs are paired by their call ids. What the model thought goes back
// to it in the sealed form that its maker gave out; reasoning that is not sealed does not go back, for the specification has no place
// for it in an input.
//
// Custom tools and namespaces are the client's and go along. Hosted tools of the upstream do not: they would run on the operator's account, and with
// what it holds, for every tenant. What an upstream does by itself all the same, and items that nobody here knows, are not part of the answer.
package native

// Dialect is the Responses dialect.
type Dialect struct{}

// Path is the endpoint's.
func (Dialect) Path() string { return "/responses" }

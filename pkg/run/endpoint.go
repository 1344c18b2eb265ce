package run

// Endpoint is the endpoint that accepted a request, as its path below the API's
// base. Rows keep this text, so a value never changes.
type Endpoint string

// The endpoints. Each has a row in traits.
const (
	Responses       Endpoint = "responses"
	Compact         Endpoint = "responses/compact"
	InputTokens     Endpoint = "responses/input_tokens"
	ChatCompletions Endpoint = "chat/completions"
	Completions     Endpoint = "completions"
	Embeddings      Endpoint = "embeddings"
)

// Work is what the orchestrator does for a request.
type Work int

// The kinds of work.
const (
	WorkUnknown Work = iota // the endpoint is not one of this version
	WorkLoop                // turns of a model call and its tool calls
	WorkCompact             // one model call that summarizes a history
	WorkCount               // the tokens of an input are counted
	WorkRelay               // one model call whose bodies are passed through
)

// traits is everything that differs by endpoint.
var traits = []struct {
	endpoint Endpoint
	id       Prefix // of its requests' public ids
	work     Work
	streams  bool // takes the parameter stream
}{
	{Responses, ResponseID, WorkLoop, true},
	{Compact, CallID, WorkCompact, false},
	{InputTokens, CallID, WorkCount, false},
	{ChatCompletions, CallID, WorkRelay, true},
	{Completions, CallID, WorkRelay, true},
	{Embeddings, CallID, WorkRelay, false},
}

// Endpoints returns all endpoints.
func Endpoints() []Endpoint {
	all := make([]Endpoint, len(traits))
	for i, t := range traits {
		all[i] = t.endpoint
	}
	return all
}

func (e Endpoint) row() int {
	for i := range traits {
		if traits[i].endpoint == e {
			return i
		}
	}
	return -1
}

// Known reports whether e is an endpoint of this version.
func (e Endpoint) Known() bool { return e.row() >= 0 }

// Path is the endpoint's path at Windlass, like /v1/responses.
func (e Endpoint) Path() string { return "/v1/" + string(e) }

// Prefix starts the public ids of the endpoint's requests.
func (e Endpoint) Prefix() Prefix {
	if i := e.row(); i >= 0 {
		return traits[i].id
	}
	return CallID
}

// Work is what the orchestrator does for a request of the endpoint.
func (e Endpoint) Work() Work {
	if i := e.row(); i >= 0 {
		return traits[i].work
	}
	return WorkUnknown
}

// IsResponse reports whether a request of the endpoint is a response: one that
// runs the loop, is stored, and has a final object. A request of any other
// endpoint is one model call, which is never stored and whose step's output is
// the answer.
func (e Endpoint) IsResponse() bool { return e == Responses }

// Relayed reports whether the endpoint's bodies are passed through.
func (e Endpoint) Relayed() bool { return e.Work() == WorkRelay }

// Streams reports whether stream is a parameter of the endpoint; elsewhere it
// is an unknown field like any other.
func (e Endpoint) Streams() bool {
	i := e.row()
	return i >= 0 && traits[i].streams
}

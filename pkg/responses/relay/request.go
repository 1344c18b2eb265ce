package relay

import (
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Endpoint is one of the endpoints of this package, as its path below the API's base, here and upstream.
type Endpoint string

// The endpoints.
const (
	Chat        Endpoint = "chat/completions"
	Completions Endpoint = "completions"
	Embeddings  Endpoint = "embeddings"
)

// Known tells whether a request's endpoint is one of this package.
func Known(name string) (Endpoint, bool) {
	e := Endpoint(name)
	return e, e == Chat || e == Completions || e == Embeddings
}

// Request is a body as far as it is read here.
type Request struct {
	Endpoint    Endpoint
	Model       string
	Stream      bool
	ServiceTier string // "" as well where it is no string: what that means is the upstream's to say

	body raw.Value
}

// Decode reads the body of a POST to the endpoint. The error is always a 400 and names the first field at fault; nil means
// success. The result aliases body.
func Decode(e Endpoint, body []byte) (*Request, *fault.Error) {
	v, err := check.Parse(body)
	if err != nil {
		return nil, err
	}
	if v.Kind() != raw.Object {
		err := check.WrongType(v, "an object").In("body").Fault()
		err.Param = "" // the body has no path
		return nil, err
	}
	r := &Request{Endpoint: e, body: v}
	given := map[string]bool{}
	for key, m := range v.Members() {
		name := string(key)
		if given[name] = m.Given(); !given[name] {
			continue
		}
		if p := r.read(name, m); p != nil {
			return nil, p.In(name).Fault()
		}
	}
	given["model"] = given["model"] && r.Model != ""
	for _, name := range required[e] {
		if !given[name] {
			return nil, check.Absent(name).Fault()
		}
	}
	return r, nil
}

// required are the members that have to be there and not null. A completion without a prompt is one of whatever the upstream
// starts with.
var required = map[Endpoint][]string{
	Chat:        {"model", "messages"},
	Completions: {"model"},
	Embeddings:  {"model", "input"},
}

// read takes one member in. A member that comes again is what it is the last time, as everywhere in this project.
func (r *Request) read(name string, v raw.Value) (p *check.Problem) {
	e := r.Endpoint
	switch {
	case name == "model":
		r.Model, p = check.String(v, 0)
	case name == "service_tier":
		r.ServiceTier = v.Text()
	case name == "messages" && e == Chat:
		p = messages(v)
	case name == "input" && e == Embeddings, name == "prompt" && e == Completions:
		p = texts(v)
	case name == "stream" && e.streams():
		r.Stream, p = check.Bool(v)
	}
	return p
}

// streams tells whether stream is a parameter of the endpoint; elsewhere it is an unknown field like any other.
func (e Endpoint) streams() bool { return e != Embeddings }

func messages(v raw.Value) *check.Problem {
	if v.Kind() != raw.Array {
		return check.WrongType(v, "an array of objects")
	}
	n := 0
	for i, m := range v.Elements() {
		if p := check.Type(m, raw.Object); p != nil {
			return p.At(i)
		}
		n++
	}
	if n == 0 {
		return empty()
	}
	return nil
}

// texts wants text, tokens, or a list of either.
func texts(v raw.Value) *check.Problem {
	switch v.Kind() {
	case raw.String:
		return nil
	case raw.Array:
	default:
		return check.WrongType(v, "one of a string or an array")
	}
	n := 0
	for i, m := range v.Elements() {
		if k := m.Kind(); k != raw.String && k != raw.Int && k != raw.Array {
			return check.WrongType(m, "one of a string, an integer or an array of integers").At(i)
		}
		n++
	}
	if n == 0 {
		return empty()
	}
	return nil
}

func empty() *check.Problem {
	return check.Beyond("empty_array", "empty array", "an array with minimum length 1", "an empty array")
}

// Upstream is the body for the upstream that knows the model by that name: a whole answer is asked for, not a stream.
func (r *Request) Upstream(model string) []byte {
	body := r.body.With("model", raw.AppendText(nil, model))
	if r.Endpoint.streams() {
		body = body.With("stream", nil)
	}
	return body
}

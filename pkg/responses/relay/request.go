package relay

import (
	"slices"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/run"
)

// Request is a body, as far as it is read here.
type Request struct {
	Endpoint    run.Endpoint
	Model       string
	Stream      bool
	Usage       bool   // a stream ends with a chunk of its usage
	ServiceTier string // "" if it is not a string, which the upstream may refuse

	body raw.Value
}

// Decode reads the body of a POST to the endpoint. The error is a 400 that
// names the first invalid field; nil means success. The result aliases body.
func Decode(e run.Endpoint, body []byte) (*Request, *fault.Error) {
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
	last := map[string]raw.Value{} // the last of equal members counts, as everywhere
	for key, m := range v.Members() {
		if slices.Contains(forms[e].members, string(key)) {
			last[string(key)] = m
		}
	}
	for _, name := range forms[e].members {
		if m := last[name]; m.IsSet() {
			if p := r.read(name, m); p != nil {
				return nil, p.In(name).Fault()
			}
		}
	}
	for _, name := range forms[e].required {
		if !last[name].IsSet() {
			return nil, check.Absent(name).Fault()
		}
	}
	if r.Model == "" {
		return nil, check.Absent("model").Fault()
	}
	return r, nil
}

func (r *Request) read(name string, v raw.Value) (p *check.Problem) {
	switch name {
	case "model":
		r.Model, p = check.String(v, 0)
	case "messages":
		p = messages(v)
	case "input", "prompt":
		p = texts(v)
	case "stream":
		r.Stream, p = check.Bool(v)
	case "stream_options":
		r.Usage, p = includeUsage(v)
	case "service_tier":
		r.ServiceTier = v.Text()
	}
	return p
}

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

// texts accepts text, tokens, or a list of either.
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
	return check.OutOfRange("empty_array", "empty array", "an array with minimum length 1", "an empty array")
}

func includeUsage(v raw.Value) (bool, *check.Problem) {
	if p := check.Type(v, raw.Object); p != nil {
		return false, p
	}
	usage := v.Field("include_usage")
	if !usage.IsSet() {
		return false, nil
	}
	include, p := check.Bool(usage)
	return include, p.In("include_usage")
}

// Upstream returns the body with the upstream's name for the model. A stream is
// asked for its usage, which is counted whether or not the client wants it.
func (r *Request) Upstream(model string) []byte {
	body := r.body.With("model", raw.AppendText(nil, model))
	if !r.Stream && r.Endpoint.Streams() {
		return body.With("stream", nil)
	}
	if r.Stream {
		options := body.Field("stream_options")
		if !options.IsSet() {
			options = raw.Value(`{}`)
		}
		if !r.Usage {
			options = options.With("include_usage", raw.Value("true"))
		}
		body = body.With("stream", raw.Value("true")).With("stream_options", options)
	}
	return body
}

// Several reports whether the request asks for more than one choice; choices
// may come one after the other.
func (r *Request) Several() bool {
	return count(r.body.Field("n")) > 1 || count(r.body.Field("best_of")) > 1
}

package responseapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/cost"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
)

// resume is GET /v1/responses/{id}?stream=true: the events from the first on,
// or from the one after starting_after.
func (s *Server) resume(x *httpapi.Exchange, r *http.Request, a *answers.Answer) error {
	after, err := startingAfter(r.URL.Query())
	if err != nil {
		return err
	}
	c, size, err := s.readRequest(r.Context(), x, a)
	if err != nil {
		return err
	}
	if a.Final != nil || !a.Status.Terminal() { // else the last event is made of the request
		rest := *a
		rest.Body, a = nil, &rest
		x.Release(size + int64(2*len(a.Final))) // the stream may take hours
	}
	if pads, err := obfuscates(r.URL.Query()); err != nil {
		return err
	} else if pads != nil {
		c.IncludeObfuscation = pads
	}
	return s.streams.ReplayResponse(x, r, a, c, after)
}

// obfuscates reads include_obfuscation, nil if absent: then the request
// decides.
func obfuscates(q url.Values) (*bool, error) {
	text := q.Get("include_obfuscation")
	if text == "" {
		return nil, nil
	}
	pads, err := strconv.ParseBool(text)
	if err != nil {
		return nil, notBoolean("include_obfuscation", text)
	}
	return &pads, nil
}

// readRequest returns what events show of the request, as it was accepted, and
// what that costs.
func (s *Server) readRequest(
	ctx context.Context, x *httpapi.Exchange, a *answers.Answer,
) (*responses.Create, int64, error) {
	body := a.Body
	if body == nil {
		ctx, cancel := query.WithTimeout(ctx)
		defer cancel()
		var err error
		body, err = query.Retry(
			ctx, s.tasks, func(ctx context.Context) ([]byte, error) { return s.stored.Body(ctx, a.Tenant, a.ID) },
		)
		if err != nil {
			return nil, 0, err
		}
		if err := x.ChargeRead(cost.Of(body)); err != nil {
			return nil, 0, err
		}
	}
	c, f := responses.Decode(body)
	if f != nil {
		return nil, 0, fmt.Errorf("read request %s: its body is not what was accepted", a.ID)
	}
	shown, size := withoutInput(c, body)
	return shown, size, nil
}

// startingAfter reads the number of the last event that the client has, -1 if
// absent.
func startingAfter(q url.Values) (int, error) {
	text := q.Get("starting_after")
	if text == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, fault.Invalid("starting_after", "invalid_type", fmt.Sprintf(
			"Invalid type for 'starting_after': expected an integer, but got '%s' instead.", httpapi.Excerpt(text)))
	case n < 0:
		return 0, fault.Invalid("starting_after", "integer_below_min_value", fmt.Sprintf(
			"Invalid 'starting_after': integer below minimum value. Expected a value >= 0, but got %d instead.", n))
	}
	return n, nil
}

// maxAsk bounds the body of a GET that is looked at.
const maxAsk = 1 << 10

// wantsStream reads the stream parameter: from the query or, without one there,
// from a small JSON body, where openai-go puts it.
func (s *Server) wantsStream(x *httpapi.Exchange, r *http.Request) (bool, error) {
	text := r.URL.Query().Get("stream")
	switch {
	case text != "":
		wants, err := strconv.ParseBool(text)
		if err != nil {
			return false, notBoolean("stream", text)
		}
		return wants, nil
	case r.ContentLength <= 0, r.ContentLength > maxAsk:
		return false, nil
	}
	body, err := x.ReadBody(r)
	if err != nil {
		return false, err
	}
	var ask struct {
		Stream bool `json:"stream"`
	}
	_ = json.Unmarshal(body, &ask) // the body of a GET means nothing, unless it is this one
	return ask.Stream, nil
}

func notBoolean(param, text string) *fault.Error {
	return fault.Invalid(param, "invalid_type", fmt.Sprintf(
		"Invalid type for '%s': expected a boolean, but got '%s' instead.", param, httpapi.Excerpt(text)))
}

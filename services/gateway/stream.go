package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/wait"
)

// stream accepts a request and sends its events to what open opens. An error
// that is not errHungUp was before the request was accepted, and is for the
// caller to tell; from then on the stream tells it.
func (s *server) stream(
	ctx context.Context, x *httpapi.Exchange, c *responses.Create, n store.NewRequest, open func() (sink, error),
) error {
	reader, err := s.bus.ReadLive(run.Hex(n.ID)) // before the row is there: nothing of it can be missed
	if err != nil {
		return err
	}
	defer reader.Close()
	row, err := s.acceptOn(ctx, x, c, &n)
	if err != nil {
		return err
	}
	s.gate.Dispatch(ctx, row)
	out, err := open()
	if err != nil {
		return s.left(ctx, n, err)
	}
	f := &follower{server: s, tenant: n.Tenant, id: n.ID, request: c, reader: reader, out: out, padding: paddingOf(n.ID, c), after: -1}
	ctx, cancel := context.WithTimeoutCause(ctx, n.Timeout+wait.Slack, errLate)
	defer cancel()
	if err := f.follow(ctx); err != nil {
		out.cut()
		return s.left(ctx, n, err)
	}
	return nil
}

// left looks after the request of a stream that ended before its response did.
func (s *server) left(ctx context.Context, n store.NewRequest, err error) error {
	switch {
	case n.Background || n.Once.Key != "": // whoever has the key may come again
	case !n.Unstored && (drained(ctx) || errors.Is(err, errSlow)): // we have left the client: it can resume
	default:
		s.canceller.HangUp(n.Tenant, n.ID)
	}
	return httpapi.ErrHungUp
}

var errLate = errors.New("the response has not ended long after its deadline")

// resume is GET /v1/responses/{id}?stream=true: the events from the first on,
// or from the one behind starting_after.
func (s *server) resume(x *httpapi.Exchange, r *http.Request, a *store.Answer) error {
	after, err := startingAfter(r.URL.Query())
	if err != nil {
		return err
	}
	c, err := s.asked(r.Context(), a)
	if err != nil {
		return err
	}
	if pads, err := obfuscates(r.URL.Query()); err != nil {
		return err
	} else if pads != nil {
		c.IncludeObfuscation = pads
	}
	return s.replay(x, r, a, c, after)
}

// paddingOf is the padding of a request's deltas; nil where it wants none. It
// does unless it says that it does not, as the specification has it.
func paddingOf(id uuid.UUID, c *responses.Create) *event.Padding {
	if c.IncludeObfuscation != nil && !*c.IncludeObfuscation {
		return nil
	}
	return event.PaddingOf(id)
}

// obfuscates reads whether deltas are to be padded; nil: as the request said.
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

// replay sends the events of a response that has a row, from the one behind
// after on.
func (s *server) replay(x *httpapi.Exchange, r *http.Request, a *store.Answer, c *responses.Create, after int) (err error) {
	f := &follower{server: s, tenant: a.Tenant, id: a.ID, request: c, padding: paddingOf(a.ID, c), after: after}
	if a.Streamed && a.Live {
		if f.reader, err = s.bus.ReadLive(run.Hex(a.ID)); err != nil {
			return err
		}
		defer f.reader.Close()
		_ = f.look(r.Context()) // what is not found now is after a silence
	}
	out, err := openSSE(x)
	if err != nil {
		return err
	}
	f.out = out
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.cfg.Registry.Limits().Deadline+wait.Slack, errLate)
	defer cancel()
	if a.Status.Terminal() && !a.Live {
		err = f.archived(ctx, a)
	} else {
		err = f.follow(ctx)
	}
	if err != nil {
		f.out.cut()
		return httpapi.ErrHungUp
	}
	return nil
}

// asked is the request as it was accepted.
func (s *server) asked(ctx context.Context, a *store.Answer) (*responses.Create, error) {
	body := a.Body
	if body == nil {
		ctx, cancel := query.WithTimeout(ctx)
		defer cancel()
		var err error
		body, err = query.Retry(ctx, &s.tasks, func(ctx context.Context) ([]byte, error) { return s.store.Body(ctx, a.Tenant, a.ID) })
		if err != nil {
			return nil, err
		}
	}
	c, f := responses.Decode(body)
	if f != nil {
		return nil, fmt.Errorf("read request %s: its body is not what was accepted", a.ID)
	}
	return c, nil
}

// startingAfter reads the number of the last event that a client has; -1: it
// has none.
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
func (s *server) wantsStream(x *httpapi.Exchange, r *http.Request) (bool, error) {
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

package responseapi

import (
	"net/http"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// inputTokens is POST /v1/responses/input_tokens: a request of one step, which
// counts the tokens that the model would get. Of the parameters of create it
// takes those that name the history and the model. A worker counts, because it
// loads the history and speaks the upstream's dialect, and because a long
// history takes seconds of a core.
func (s *Creator) inputTokens(x *httpapi.Exchange, r *http.Request) error {
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	return s.createCall(x, r, body, run.InputTokens, (*responses.Create).CountRefusal)
}

// createCall accepts a request of one step about what a response would
// continue, unless refuse refuses it.
func (s *Creator) createCall(
	x *httpapi.Exchange,
	r *http.Request,
	body []byte,
	endpoint run.Endpoint,
	refuse func(*responses.Create) *fault.Error,
) error {
	body, c, lane, err := s.Resolve(r.Context(), x, x.Who, body)
	if err != nil {
		return err
	}
	if f := refuse(c); f != nil {
		return f
	}
	parent, err := s.history.Parent(r.Context(), x.Who.Tenant, c)
	if err != nil {
		return err
	}
	if c.Conversation != "" {
		if body, err = s.history.WithConversation(r.Context(), x.Who.Tenant, body, c); err != nil {
			return err
		}
		if err := x.ChargeBody(r.Context(), body); err != nil {
			return err
		}
		if c, lane, err = s.rules.Understand(x.Who, body); err != nil {
			return err
		}
	}
	n, err := s.NewRequest(x, r.Header, c, body)
	if err != nil {
		return err
	}
	n.Endpoint, n.Unstored = endpoint, true
	n.Tenant, n.Lane, n.Parent = x.Who.Tenant, lane, parent
	return s.answers.Call(x, r, n)
}

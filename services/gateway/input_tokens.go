package gateway

import (
	"net/http"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

const inputTokensPath = "/v1/" + string(run.InputTokens)

// inputTokens is POST /v1/responses/input_tokens: a request of one step, which
// counts what the model would be shown. It takes what create takes, as far as
// it says which history and which model.
func (s *server) inputTokens(x *httpapi.Exchange, r *http.Request) error {
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	return s.callOnHistory(x, r, body, run.InputTokens, (*responses.Create).CountRefusal)
}

// callOnHistory accepts a request of one step about what a response would
// continue, unless refuse does not let it through.
func (s *server) callOnHistory(
	x *httpapi.Exchange, r *http.Request, body []byte, endpoint run.Endpoint, refuse func(*responses.Create) *fault.Error,
) error {
	body, c, lane, err := s.resolve(r.Context(), x.Who, body)
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
		if c, lane, err = s.rules.Understand(x.Who, body); err != nil {
			return err
		}
	}
	n, err := s.newRequest(x, r.Header, c, body)
	if err != nil {
		return err
	}
	n.Endpoint, n.Unstored = endpoint, true
	n.Tenant, n.Lane, n.Parent = x.Who.Tenant, lane, parent
	return s.call(x, r, n)
}

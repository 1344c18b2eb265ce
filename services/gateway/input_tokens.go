package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
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
	parent, err := s.parent(r.Context(), x.Who.Tenant, c)
	if err != nil {
		return err
	}
	if c.Conversation != "" {
		if body, c, lane, err = s.withConversation(r.Context(), x.Who, body, c); err != nil {
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

// withConversation is a body with all that its conversation holds as its own
// input: whoever only counts does not lock it, and it may move on meanwhile.
func (s *server) withConversation(
	ctx context.Context, who httpapi.Principal, body []byte, c *responses.Create,
) (whole []byte, all *responses.Create, lane string, err error) {
	state, err := s.conversationState(ctx, c, who.Tenant)
	if err != nil {
		return nil, nil, "", err
	}
	state.Locked = false
	if f := s.refuseConversation(c, state); f != nil {
		return nil, nil, "", f
	}
	spoken, err := s.spoken(ctx, who.Tenant, c.Conversation)
	if err != nil {
		return nil, nil, "", err
	}
	whole, f := responses.WithInput(body, slices.Concat(spoken, c.Input))
	if f != nil {
		return nil, nil, "", f
	}
	all, lane, err = s.rules.Understand(who, whole)
	return whole, all, lane, err
}

func (s *server) spoken(ctx context.Context, tenant, public string) ([]item.Item, error) {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	data, err := askAbout(ctx, s, public, func(ctx context.Context, id uuid.UUID) ([][]byte, error) {
		return s.store.Spoken(ctx, tenant, id)
	})
	if err != nil {
		return nil, err
	}
	items := make([]item.Item, len(data))
	for i, b := range data {
		it, f := item.Parse(b)
		if f != nil {
			return nil, fmt.Errorf("read item %d of a conversation: %w", i, f)
		}
		items[i] = it
	}
	return items, nil
}

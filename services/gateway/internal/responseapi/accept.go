package responseapi

import (
	"bytes"
	"context"
	"errors"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/cost"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/stream"
)

// acceptOn accepts a request that may continue a conversation. It checks the
// conversation first; the insert is refused with store.ErrStale if the
// conversation has changed since.
func (s *Creator) acceptOn(
	ctx context.Context,
	x *httpapi.Exchange,
	c *responses.Create,
	n *store.NewRequest,
) (run.Row, error) {
	if c.Conversation == "" {
		return s.gate.Accept(ctx, x, n)
	}
	for range history.ConversationTries {
		state, err := s.history.ConversationState(ctx, c, n.Tenant)
		if err != nil {
			return run.Row{}, err
		}
		if state.ChangedBy == n.ID { // by an accept whose answer was lost
			return run.Row{Status: run.Queued}, nil
		}
		if f := s.history.CheckConversation(c, state); f != nil {
			return run.Row{}, f
		}
		n.Conversation, n.Seen = state.ID, state.Version
		row, err := s.gate.Accept(ctx, x, n)
		if !errors.Is(err, store.ErrStale) {
			return row, err
		}
	}
	return run.Row{}, history.Locked("conversation")
}

// Respond accepts a request and sends its events to the sink that open returns.
// It returns an error other than httpapi.ErrHungUp only if the request was not
// accepted; the caller answers with it. Later errors are in the stream.
func (s *Creator) Respond(
	ctx context.Context,
	x *httpapi.Exchange,
	c *responses.Create,
	n store.NewRequest,
	open func() (stream.Sink, error),
) error {
	reader, err := s.streams.Read(x.Who, n.ID) // before the row is written, so that no frame is missed
	if err != nil {
		return err
	}
	defer reader.Close()
	shown, size := withoutInput(c, n.Body)
	row, err := s.acceptOn(ctx, x, c, &n)
	if err != nil {
		return err
	}
	if c = shown; !x.Keeps { // the stream may take hours
		x.Release(size)
	}
	s.gate.Dispatch(ctx, row)
	return s.streams.FollowResponse(ctx, n, c, reader, open)
}

// smallBody is the size up to which a body is kept as long as its stream.
const smallBody = 8 << 10

// withoutInput returns what the events of a response show of its request, and
// what that costs. It shares no memory with a body that is not small.
func withoutInput(c *responses.Create, body []byte) (*responses.Create, int64) {
	if len(body) <= smallBody {
		return c, cost.Of(body)
	}
	rest, f := responses.WithInput(body, nil)
	if f == nil {
		rest = bytes.Clone(rest) // without the capacity of the whole
		var shown *responses.Create
		if shown, f = responses.Decode(rest); f == nil {
			return shown, cost.Of(rest)
		}
	}
	return c, cost.Of(body) // a request that is not valid without its input
}

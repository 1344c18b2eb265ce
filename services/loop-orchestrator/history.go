package looporchestrator

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

var errUnreadable = &model.CallError{Code: "server_error", Message: "The request's history cannot be read."}

// history is what the request continues and its own turns. Every turn reads it anew; a request whose history has lost a response
// since it was accepted, or all of its conversation, fails, for the model would answer to something that was never said.
func (o *orchestrator) history(ctx context.Context, c store.Chain) ([]transcript.Ancestor, []transcript.Turn, error) {
	earlier, err := o.earlier(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	turns, err := transcript.Turns(c)
	if err != nil {
		return nil, nil, errUnreadable
	}
	return earlier, turns, nil
}

// earlier is what the request continues: a line of responses, a conversation, or nothing.
func (o *orchestrator) earlier(ctx context.Context, c store.Chain) ([]transcript.Ancestor, error) {
	switch {
	case c.Parent != uuid.Nil:
		return o.line(ctx, c)
	case c.Conversation != uuid.Nil:
		return o.conversation(ctx, c)
	}
	return nil, nil
}

func (o *orchestrator) line(ctx context.Context, c store.Chain) ([]transcript.Ancestor, error) {
	var loaded []store.Chain
	err := o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		loaded, err = o.Store.Ancestors(ctx, c.Tenant, c.Parent)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, &model.CallError{
			Code: "previous_response_not_found", Message: "A response that this one continues has been deleted.",
		}
	}
	if err != nil {
		return nil, err
	}
	earlier, err := transcript.Ancestors(loaded)
	if err != nil {
		return nil, errUnreadable
	}
	return earlier, nil
}

// conversation is what the conversation held when the request was accepted: it is locked since.
func (o *orchestrator) conversation(ctx context.Context, c store.Chain) ([]transcript.Ancestor, error) {
	var items [][]byte
	err := o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		items, err = o.Store.Spoken(ctx, c.Tenant, c.Conversation)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, &model.CallError{
			Code: "conversation_not_found", Message: "The conversation that this response continues has been deleted.",
		}
	}
	if err != nil {
		return nil, err
	}
	all, err := transcript.Conversation(items)
	if err != nil {
		return nil, errUnreadable
	}
	return all, o.attach(ctx, c.Tenant, all)
}

// attach adds what upstreams attached to what was said in a conversation. Its
// items do not have it, for clients see them; the records of its responses do,
// as long as those are kept.
func (o *orchestrator) attach(ctx context.Context, tenant string, conversation []transcript.Ancestor) error {
	said := transcript.Said(conversation)
	if len(said) == 0 {
		return nil
	}
	var records map[store.TurnKey][]byte
	err := o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		records, err = o.Store.Recorded(ctx, tenant, said, transcript.AttachedMark)
		return err
	})
	if err != nil {
		return err
	}
	transcript.Attach(conversation, records)
	return nil
}

// Package lineage reads what a request continues: the line of earlier responses
// or the conversation, and the turns of the request itself.
//
// It promises that a model never answers to a history with a hole in it: a
// request fails if a response or the conversation that it continues was deleted
// since it was accepted (TestARequestWithoutItsHistoryFailsUnasked in
// loop-orchestrator).
package lineage

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/internal/worker"
)

var errUnreadable = &run.Failure{Code: run.CodeServerError, Message: "The request's history cannot be read."}

// Reader reads lineages from the store. Safe for concurrent use.
type Reader struct {
	Worker *worker.Worker
	Memo   *transcript.Memo // of this process's runs; nil keeps nothing
}

// Read returns what the request continues, oldest first, and its own turns. A
// history that cannot be read is a *run.Failure.
func (r Reader) Read(ctx context.Context, c run.Chain) ([]transcript.Ancestor, []transcript.Turn, error) {
	earlier, err := r.readEarlier(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	turns, err := r.Memo.Turns(c)
	if err != nil {
		return nil, nil, errUnreadable
	}
	return earlier, turns, nil
}

func (r Reader) readEarlier(ctx context.Context, c run.Chain) ([]transcript.Ancestor, error) {
	switch {
	case c.Parent != uuid.Nil:
		return r.readAncestors(ctx, c)
	case c.Conversation != uuid.Nil:
		return r.readConversation(ctx, c)
	}
	return nil, nil
}

func (r Reader) readAncestors(ctx context.Context, c run.Chain) ([]transcript.Ancestor, error) {
	loaded, err := worker.Retry(ctx, r.Worker, func(ctx context.Context) ([]run.Chain, error) {
		return r.Worker.Store.Ancestors(ctx, c.Tenant, c.Parent)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, &run.Failure{
			Code: run.CodePreviousNotFound, Message: "A response that this one continues has been deleted.",
		}
	}
	if err != nil {
		return nil, err
	}
	earlier, err := r.Memo.Ancestors(loaded)
	if err != nil {
		return nil, errUnreadable
	}
	return earlier, nil
}

// readConversation reads what the conversation held when the request was
// accepted: it is locked since then.
func (r Reader) readConversation(ctx context.Context, c run.Chain) ([]transcript.Ancestor, error) {
	items, err := worker.Retry(ctx, r.Worker, func(ctx context.Context) ([][]byte, error) {
		return conversations.New(r.Worker.DB).History(ctx, c.Tenant, c.Conversation)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, &run.Failure{
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
	return all, r.attachOwn(ctx, c.Tenant, all)
}

// attachOwn adds what upstreams attached to the items of a conversation. The
// items do not hold it, because clients read them; the records of the responses
// that made the items do, as long as those are kept.
func (r Reader) attachOwn(ctx context.Context, tenant string, conversation []transcript.Ancestor) error {
	turns := transcript.TurnsOf(conversation)
	if len(turns) == 0 {
		return nil
	}
	records, err := worker.Retry(ctx, r.Worker, func(ctx context.Context) (map[run.TurnKey][]byte, error) {
		return r.Worker.Store.TurnOutputs(ctx, tenant, turns, transcript.AttachedMark)
	})
	if err != nil {
		return err
	}
	transcript.Attach(conversation, records)
	return nil
}

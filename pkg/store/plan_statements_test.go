package store_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/labels"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

// planned is a statement with arguments that touch a few rows.
type planned struct {
	name string
	sql  string
	args postgres.Args
}

// recorder records the last statement of a context, and lets only the first
// statements pass.
type recorder struct {
	pass int
	last planned
}

// TraceQueryStart implements pgx.QueryTracer.
func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.last.sql = data.SQL
	for _, arg := range data.Args {
		if a, ok := arg.(postgres.Args); ok {
			r.last.args = a
		}
	}
	if r.pass--; r.pass >= 0 {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// record returns the statement that do sends after the first ones, without
// executing it.
func record(t *testing.T, name string, pass int, do func(context.Context) error) planned {
	t.Helper()
	r := &recorder{pass: pass}
	err := do(postgres.WithTracer(t.Context(), r))
	if err == nil || r.pass != -1 {
		t.Fatalf("%s: error %v after %d statements, want statement %d recorded and not executed", name, err, pass-r.pass, pass+1)
	}
	r.last.name = name
	return r.last
}

// subjects are the rows that the planned statements touch.
type subjects struct {
	waiting, ready, decided, last run.Row
	conversation                  uuid.UUID
}

func plannedStatements(t *testing.T, w *runtest.World, s subjects) []planned {
	t.Helper()
	one := func(name string, do func(context.Context) error) planned { return record(t, name, 0, do) }
	all := plannedLists(t, w)
	all = append(all, plannedConversations(w, s, one)...)
	all = append(all, plannedRuns(t, w, s, one)...)
	all = append(all, plannedReads(w, s, one)...)
	return append(all, plannedKeys(w, one)...)
}

type recordOne func(name string, do func(context.Context) error) planned

func plannedConversations(w *runtest.World, s subjects, one recordOne) []planned {
	c, id := w.Conversations, s.conversation
	page := conversations.Page{Tenant: runtest.Tenant, Conversation: id, After: "msg_2", Limit: 20}
	up := page
	up.OldestFirst = true
	change := conversations.Change{
		ID: uuid.New(), Tenant: runtest.Tenant, Conversation: id, Add: []run.NewItem{runtest.NewItem("msg_added")}, Remove: "msg_2",
	}
	first := conversations.NewConversation{
		ID: uuid.New(), Tenant: runtest.Tenant, Metadata: []byte("{}"), Items: []run.NewItem{runtest.NewItem("msg_first")},
	}
	return []planned{
		one("create conversation", func(ctx context.Context) error { return c.Create(ctx, first) }),
		one("conversation", func(ctx context.Context) error { _, err := c.Read(ctx, runtest.Tenant, id); return err }),
		one("set metadata", func(ctx context.Context) error {
			_, err := c.SetMetadata(ctx, runtest.Tenant, id, []byte("{}"))
			return err
		}),
		one("conversation state", func(ctx context.Context) error {
			_, err := c.State(ctx, runtest.Tenant, id, []string{"msg_1", "msg_9"})
			return err
		}),
		one("change items", func(ctx context.Context) error { return c.ChangeItems(ctx, change) }),
		one("items up", func(ctx context.Context) error { _, err := c.Items(ctx, up); return err }),
		one("items down", func(ctx context.Context) error { _, err := c.Items(ctx, page); return err }),
		one("conversation item", func(ctx context.Context) error { _, err := c.Item(ctx, runtest.Tenant, id, "msg_1"); return err }),
		one("history", func(ctx context.Context) error { _, err := c.History(ctx, runtest.Tenant, id); return err }),
		one("find items", func(ctx context.Context) error {
			refs := []answers.ItemRef{{ID: "msg_1"}, {ID: "msg_9", Request: s.last.ID, Answer: true}}
			_, err := w.Answers.FindItems(ctx, runtest.Tenant, refs, 1000)
			return err
		}),
		one("delete conversation", func(ctx context.Context) error { return c.Delete(ctx, runtest.Tenant, id) }),
	}
}

func plannedRuns(t *testing.T, w *runtest.World, s subjects, one recordOne) []planned {
	t.Helper()
	n := runtest.NewRequest()
	n.Tenant, n.Parent, n.Metadata = "tenant-1", s.waiting.ID, map[string]string{"k": "v"}
	limited := n
	limited.ID, limited.Once = uuid.New(), runtest.Key("k")
	limited.Limits = limits.Limits{
		Requests: limits.Rate{PerMinute: 60, Burst: 60}, Tokens: limits.Rate{PerMinute: 60, Burst: 60}, InFlight: 100,
	}
	speaking := runtest.NewRequest()
	speaking.Conversation = s.conversation
	accept := func(n store.NewRequest) func(context.Context) error {
		return func(ctx context.Context) error { _, err := w.Accept(ctx, n); return err }
	}
	settlement := store.Settlement{
		ID: s.decided.ID, Epoch: s.decided.Epoch, Status: run.Completed, Answer: []byte{0}, AfterWork: true,
		Items: []run.NewItem{runtest.NewItem("msg_said")},
	}
	turn := run.TurnCommit{Fence: runtest.FenceOf(s.ready), Steps: runtest.NewSteps(1)}
	fence := runtest.FenceOf(s.ready)
	return []planned{
		one("accept", accept(n)),
		record(t, "accept limited", 1, accept(limited)), // the first statement opens the budget
		one("accept on conversation", accept(speaking)),
		one("claim", func(ctx context.Context) error {
			_, err := w.Claim(ctx, []store.Slots{{Lane: runtest.Lane, Free: 8}, {Lane: "other", Free: 8}})
			return err
		}),
		one("load", func(ctx context.Context) error { _, err := w.Load(ctx, s.waiting.ID); return err }),
		one("raise", func(ctx context.Context) error { _, err := w.Raise(ctx, fence, run.Suspected, 0); return err }),
		one("raise tools", func(ctx context.Context) error { return w.RaiseTools(ctx, s.waiting) }),
		one("calls lost", func(ctx context.Context) error { return w.CallsLost(ctx, runtest.FenceOf(s.waiting), 1, 1) }),
		one("retry turn", func(ctx context.Context) error {
			_, err := w.RetryTurn(ctx, fence, time.Second, struct{}{})
			return err
		}),
		one("commit turn", func(ctx context.Context) error { _, err := w.CommitTurn(ctx, s.ready, turn); return err }),
		one("commit results", func(ctx context.Context) error {
			_, err := w.CommitResults(ctx, runtest.Results(s.waiting)[:1])
			return err
		}),
		one("settle", func(ctx context.Context) error { return w.Settle(ctx, settlement) }),
		one("finish", func(ctx context.Context) error { return w.Finish(ctx, s.decided.ID) }),
		one("archive", func(ctx context.Context) error { return w.Archive(ctx, s.decided.ID, []byte{0}) }),
		one("overdue", func(ctx context.Context) error { _, err := w.Overdue(ctx, 100); return err }),
		record(t, "open steps", 1, func(ctx context.Context) error { _, err := w.Look(ctx, s.waiting.ID); return err }),
		one("alarm", func(ctx context.Context) error { _, err := w.MakeAllDue(ctx); return err }),
		one("postpone", func(ctx context.Context) error { return w.Postpone(ctx, []run.Row{s.ready}) }),
		one("overtime", func(ctx context.Context) error { _, err := w.PastDeadline(ctx, 100); return err }),
		one("backlog", func(ctx context.Context) error { _, err := w.Backlog(ctx, 100); return err }),
	}
}

func plannedReads(w *runtest.World, s subjects, one recordOne) []planned {
	return []planned{
		one("events", func(ctx context.Context) error {
			_, err := w.Answers.Events(ctx, runtest.Tenant, s.decided.ID)
			return err
		}),
		one("answer", func(ctx context.Context) error {
			_, err := w.Answers.Read(ctx, runtest.Tenant, s.waiting.ID)
			return err
		}),
		one("finished", func(ctx context.Context) error {
			_, err := w.Answers.Finished(ctx, []uuid.UUID{s.waiting.ID})
			return err
		}),
		one("body", func(ctx context.Context) error { _, err := w.Answers.Body(ctx, runtest.Tenant, s.last.ID); return err }),
		one("previous", func(ctx context.Context) error { _, err := w.Previous(ctx, runtest.Tenant, s.last.ID); return err }),
		one("ancestors", func(ctx context.Context) error { _, err := w.Ancestors(ctx, runtest.Tenant, s.last.ID); return err }),
		one("recorded", func(ctx context.Context) error {
			_, err := w.TurnOutputs(ctx, runtest.Tenant, []run.TurnKey{{Request: s.last.ID, Turn: 1}}, []byte("x"))
			return err
		}),
		one("steps", func(ctx context.Context) error { _, err := w.Steps(ctx, runtest.Tenant, s.waiting.ID); return err }),
		one("call", func(ctx context.Context) error { _, err := w.Call(ctx, runtest.Tenant, s.waiting.ID); return err }),
		one("delete", func(ctx context.Context) error { return w.Retention.Delete(ctx, runtest.Tenant, s.last.ID) }),
		// of a minute to come: everything that has ended is old
		one("purge", func(ctx context.Context) error {
			_, err := w.Retention.Purge(ctx, -time.Minute, uuid.Nil, 20)
			return err
		}),
		one("erase", func(ctx context.Context) error { _, err := w.Retention.Erase(ctx, -time.Minute, 20); return err }),
	}
}

func plannedKeys(w *runtest.World, one recordOne) []planned {
	id, once := uuid.New(), w.Idempotency
	newKey := keys.NewKey{ID: "new", Tenant: "tenant-1", Hash: make([]byte, 32), Scopes: []string{"responses"}, Models: []string{"m"}, Most: 10}
	return []planned{
		one("key", func(ctx context.Context) error { _, err := w.Keys.Read(ctx, "a"); return err }),
		one("create key", func(ctx context.Context) error { _, err := w.Keys.Create(ctx, newKey); return err }),
		one("revoke key", func(ctx context.Context) error { _, err := w.Keys.Revoke(ctx, "tenant-1", "a"); return err }),
		one("use of a key", func(ctx context.Context) error { _, err := once.Read(ctx, "tenant-1", "k"); return err }),
		one("hold", func(ctx context.Context) error {
			_, err := once.Hold(ctx, "tenant-1", runtest.Key("h"), id, 10*time.Second)
			return err
		}),
		one("complete", func(ctx context.Context) error { return once.Complete(ctx, "tenant-1", "h", id, 200, []byte{0}) }),
		one("release", func(ctx context.Context) error { return once.Release(ctx, "tenant-1", "h", id, true) }),
		one("purge keys", func(ctx context.Context) error { _, err := once.Purge(ctx, 100); return err }),
	}
}

var (
	common = map[string]string{"k": "v"} // every response of tenant-1 has it in the plan test
	both   = map[string]string{"k": "v", "l": "w"}
)

func commonLabel() uuid.UUID { return labels.Of("tenant-1", common, uuid.Nil, uuid.Nil)[0] }

// plannedLists are lists of tenant-1: the first pages of them, and those that
// read as many responses as they may and find no match.
func plannedLists(t *testing.T, w *runtest.World) []planned {
	t.Helper()
	list := func(name string, pass int, q answers.Query, change postgres.Args) planned {
		q.Tenant, q.Below, q.Limit, q.Bytes = "tenant-1", uuid.Max, 20, 1<<20
		p := record(t, name, pass, func(ctx context.Context) error { _, err := w.Answers.List(ctx, q); return err })
		p.args = maps.Clone(p.args)
		maps.Copy(p.args, change)
		return p
	}
	small := postgres.Args{"budget": 50, "probe": 50}
	down := answers.Query{NewestFirst: true}
	model := answers.Query{NewestFirst: true, Model: "m"}
	label := answers.Query{NewestFirst: true, Metadata: common}
	unmatched := answers.Query{NewestFirst: true, Metadata: both}
	failed := []run.Status{run.Failed, run.Expired}
	rareLabels := labels.Of("tenant-1", both, uuid.Nil, uuid.Nil)
	middle := uuid.MustParse("40000000-0000-4000-8000-000000000000")
	noneByModel := postgres.Args{"labels": rareLabels, "budget": 50}
	return []planned{
		list("list", 0, down, nil),
		list("list up", 0, answers.Query{}, nil),
		list("list middle", 0, down, postgres.Args{"above": middle[:]}),
		list("list failed", 0, answers.Query{NewestFirst: true, Statuses: failed}, nil),
		list("list model", 0, model, nil),
		list("list another", 0, answers.Query{NewestFirst: true, Model: "x", Statuses: failed}, nil),
		list("list label", 1, label, small),
		list("list label up", 1, answers.Query{Metadata: common}, postgres.Args{"statuses": []string{"completed"}, "budget": 50}),
		list("list none", 1, unmatched, postgres.Args{"label": commonLabel(), "budget": 50}),
		list("list none by", 0, model, noneByModel),
		list("rarest", 0, unmatched, small),
		list("rarest model", 0, answers.Query{NewestFirst: true, Model: "m", Metadata: both}, small),
	}
}

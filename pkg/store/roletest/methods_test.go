package roletest_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/roletest"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

// attempt is one method of a store, tried under a service's role.
type attempt struct {
	name string
	do   func(w *runtest.World) error
}

func first[T any](_ T, err error) error { return err }

// Each service runs all of its statements under its role. The statements of
// other services are tried by TestRolesHaveTheirRightsAndNoOthers.
func TestServicesCanDoTheirWork(t *testing.T) {
	t.Parallel()
	admin := storetest.Database(t, runtest.Migrate)
	roles, root := roletest.Granted(t, admin), runtest.OpenAt(t, admin)
	for service, attempts := range map[string][]attempt{
		"gateway": gatewayWork(t, root), "claimer": claimerWork(t, root),
		"loop-orchestrator": orchestratorWork(t, root), "finalizer": finalizerWork(t, root), "keys": keysWork(t),
	} {
		w := runtest.OpenAt(t, roles.URL(t, service))
		for _, a := range attempts {
			if err := a.do(w); err != nil {
				t.Errorf("%s: %s: %v", service, a.name, err)
			}
		}
	}
}

// settle ends a request that adds to a conversation and is charged for.
func settle(t *testing.T, root *runtest.World) attempt {
	t.Helper()
	if err := root.Budgets.Open(t.Context(), []string{runtest.Tenant}); err != nil {
		t.Fatal(err)
	}
	talk := runtest.Conversation(t, root, 1)
	r := runtest.InSettle(t, root, run.Completed, runtest.On(talk, runtest.State(t, root, talk).Version))
	item := []run.NewItem{runtest.NewItem("said")}
	return attempt{"Settle", func(w *runtest.World) error {
		o := store.Settlement{ID: r.ID, Epoch: r.Epoch, Status: run.Completed, Answer: []byte("{}"), Items: item}
		return w.Settle(t.Context(), o)
	}}
}

func gatewayWork(t *testing.T, root *runtest.World) []attempt {
	t.Helper()
	ctx, id := t.Context(), uuid.Must(uuid.NewV7())
	done, talk := runtest.Settled(t, root, run.Failed, false), runtest.Conversation(t, root, 2)
	n := runtest.WithKey("gateway")
	n.Limits = limits.Limits{Requests: limits.Rate{PerMinute: 60, Burst: 60}, InFlight: 10}
	n.Conversation, n.Seen = talk, runtest.State(t, root, talk).Version
	return append(keysWork(t), settle(t, root), attempt{"Accept", func(w *runtest.World) error {
		return first(w.Accept(ctx, n))
	}}, attempt{"reads of a request", func(w *runtest.World) error {
		for _, err := range []error{
			first(w.Load(ctx, done.ID)), first(w.Look(ctx, done.ID)), first(w.Steps(ctx, runtest.Tenant, done.ID)),
			first(w.Backlog(ctx, 5)), first(w.Previous(ctx, runtest.Tenant, done.ID)),
			first(w.Ancestors(ctx, runtest.Tenant, done.ID)), first(w.Answers.Read(ctx, runtest.Tenant, done.ID)),
			first(w.Answers.Finished(ctx, nil)), first(w.Answers.Body(ctx, runtest.Tenant, done.ID)),
			first(w.Answers.FindItems(ctx, runtest.Tenant, nil, 1)),
			first(w.Answers.List(ctx, answers.Query{Tenant: runtest.Tenant, Limit: 5})),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	}}, attempt{"conversations", func(w *runtest.World) error {
		own := runtest.Conversation(t, w, 1)
		c := conversations.Change{
			ID: id, Tenant: runtest.Tenant, Conversation: own, Seen: runtest.State(t, w, own).Version,
			Add: []run.NewItem{runtest.NewItem("more")}, Remove: "msg_1",
		}
		if err := w.Conversations.ChangeItems(ctx, c); err != nil {
			return err
		}
		runtest.ItemIDs(t, w, own)
		if _, err := w.Conversations.SetMetadata(ctx, runtest.Tenant, own, []byte("{}")); err != nil {
			return err
		}
		return w.Conversations.Delete(ctx, runtest.Tenant, own)
	}}, attempt{"idempotency", func(w *runtest.World) error {
		if _, err := w.Idempotency.Hold(ctx, runtest.Tenant, runtest.Key("held"), id, time.Minute); err != nil {
			return err
		}
		if err := w.Idempotency.Release(ctx, runtest.Tenant, "held", id, true); err != nil {
			return err
		}
		return w.Idempotency.Complete(ctx, runtest.Tenant, "held", id, 200, []byte("{}"))
	}}, attempt{"budgets", func(w *runtest.World) error {
		if err := w.Budgets.Open(ctx, []string{"new"}); err != nil {
			return err
		}
		if err := w.Budgets.StopCharging(ctx, []string{"new"}); err != nil {
			return err
		}
		return first(w.Budgets.Charge(ctx, "new", n.Limits))
	}}, attempt{"Delete", func(w *runtest.World) error { return w.Retention.Delete(ctx, runtest.Tenant, done.ID) }})
}

func claimerWork(t *testing.T, root *runtest.World) []attempt {
	t.Helper()
	ctx := t.Context()
	raised, tools := runtest.Claimed(t, root), runtest.InTools(t, root, 1)
	return []attempt{
		settle(t, root),
		{"Claim", func(w *runtest.World) error {
			runtest.Accepted(t, root)
			return first(w.Claim(ctx, []store.Slots{{Lane: runtest.Lane, Free: 5}}))
		}},
		{"Overdue", func(w *runtest.World) error { return first(w.Overdue(ctx, 5)) }},
		{"Look", func(w *runtest.World) error { return first(w.Look(ctx, tools.ID)) }},
		{"Postpone", func(w *runtest.World) error { return w.Postpone(ctx, []run.Row{tools}) }},
		{"MakeAllDue", func(w *runtest.World) error { return first(w.MakeAllDue(ctx)) }},
		{"PastDeadline", func(w *runtest.World) error { return first(w.PastDeadline(ctx, 5)) }},
		{"Raise", func(w *runtest.World) error { return first(w.Raise(ctx, runtest.FenceOf(raised), run.Suspected, 0)) }},
		{"RaiseTools", func(w *runtest.World) error { return w.RaiseTools(ctx, tools) }},
		{"Purge", func(w *runtest.World) error { return first(w.Retention.Purge(ctx, time.Hour, uuid.Nil, 5)) }},
		{"Erase", func(w *runtest.World) error { return first(w.Retention.Erase(ctx, time.Hour, 5)) }},
		{"Purge of keys", func(w *runtest.World) error { return first(w.Idempotency.Purge(ctx, 5)) }},
	}
}

func orchestratorWork(t *testing.T, root *runtest.World) []attempt {
	t.Helper()
	ctx, talk := t.Context(), runtest.Conversation(t, root, 1)
	turn, raised, retried := runtest.Claimed(t, root), runtest.Claimed(t, root), runtest.Claimed(t, root)
	tools := runtest.InTools(t, root, 1)
	return []attempt{
		{"Load", func(w *runtest.World) error { return first(w.Load(ctx, tools.ID)) }},
		{"Look", func(w *runtest.World) error { return first(w.Look(ctx, tools.ID)) }},
		{"Ancestors", func(w *runtest.World) error { return first(w.Ancestors(ctx, runtest.Tenant, tools.ID)) }},
		{"History", func(w *runtest.World) error { return first(w.Conversations.History(ctx, runtest.Tenant, talk)) }},
		{"CommitTurn", func(w *runtest.World) error {
			return first(w.CommitTurn(ctx, turn, run.TurnCommit{Fence: runtest.FenceOf(turn), Steps: runtest.NewSteps(2)}))
		}},
		{"Raise", func(w *runtest.World) error { return first(w.Raise(ctx, runtest.FenceOf(raised), run.Suspected, 0)) }},
		{"RetryTurn", func(w *runtest.World) error { return first(w.RetryTurn(ctx, runtest.FenceOf(retried), 0, "busy")) }},
		{"CallsLost", func(w *runtest.World) error { return w.CallsLost(ctx, runtest.FenceOf(tools), 1, 1) }},
		{"CommitResults", func(w *runtest.World) error { return first(w.CommitResults(ctx, runtest.Results(tools))) }},
	}
}

func finalizerWork(t *testing.T, root *runtest.World) []attempt {
	t.Helper()
	ctx := t.Context()
	done, streamed := runtest.Settled(t, root, run.Failed, true), runtest.Settled(t, root, run.Failed, true)
	return []attempt{
		settle(t, root),
		{"Load", func(w *runtest.World) error { return first(w.Load(ctx, done.ID)) }},
		{"Look", func(w *runtest.World) error { return first(w.Look(ctx, done.ID)) }},
		{"Finish", func(w *runtest.World) error { return w.Finish(ctx, done.ID) }},
		{"Archive", func(w *runtest.World) error { return w.Archive(ctx, streamed.ID, []byte("events")) }},
	}
}

func keysWork(t *testing.T) []attempt {
	t.Helper()
	ctx, id := t.Context(), uuid.NewString()
	n := keys.NewKey{ID: id, Tenant: runtest.Tenant, Hash: make([]byte, 32), Scopes: []string{"read"}}
	return []attempt{
		{"Create", func(w *runtest.World) error { return first(w.Keys.Create(ctx, n)) }},
		{"Create again", func(w *runtest.World) error { return first(w.Keys.Create(ctx, n)) }},
		{"Read", func(w *runtest.World) error { return first(w.Keys.Read(ctx, id)) }},
		{"List", func(w *runtest.World) error { return first(w.Keys.List(ctx, runtest.Tenant)) }},
		{"Revoke", func(w *runtest.World) error { return first(w.Keys.Revoke(ctx, runtest.Tenant, id)) }},
	}
}

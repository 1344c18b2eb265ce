package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

// adds is a settlement with n items, named after the request.
func adds(r run.Row, status run.Status, n int) store.Settlement {
	o := store.Settlement{ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: status, Answer: []byte("answer")}
	for i := range n {
		o.Items = append(o.Items, runtest.NewItem(fmt.Sprintf("%s_%d", uuid.UUID(r.ID), i+1)))
	}
	return o
}

func names(o store.Settlement) string {
	return strings.Join(postgres.Column(o.Items, func(i run.NewItem) string { return i.ID }), " ")
}

// The lock goes with whatever ends the response, and only a stored one that is
// completed or incomplete adds what it said.
func TestEveryEndUnlocksAConversation(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for _, tt := range []struct {
		end      run.Status
		unstored bool
		adds     bool
	}{
		{run.Completed, false, true},
		{run.Incomplete, false, true},
		{run.Failed, false, false},
		{run.Cancelled, false, false},
		{run.Expired, false, false},
		{run.Completed, true, false},
		{run.Incomplete, true, false},
	} {
		t.Run(fmt.Sprintf("%s, unstored %v", tt.end, tt.unstored), func(t *testing.T) {
			t.Parallel()
			id := runtest.Conversation(t, s, 1)
			change := func(n *store.NewRequest) {
				runtest.On(id, 0)(n)
				if n.Unstored = tt.unstored; tt.end == run.Expired {
					runtest.Overdue(n)
				}
			}
			var r run.Row
			if tt.end == run.Cancelled || tt.end == run.Expired {
				r = runtest.InTools(t, s, 1, change)
			} else {
				r = runtest.InSettle(t, s, tt.end, change)
			}
			if c := runtest.State(t, s, id); !c.Locked || c.ChangedBy != r.ID || c.Version != 1 || r.Conversation != id {
				t.Fatalf("in flight on %s, the state is %+v", uuid.UUID(r.Conversation), c)
			}
			o := adds(r, tt.end, 2)
			if err := s.Settle(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			want, version := "msg_1", int64(1)
			if tt.adds {
				want, version = want+" "+names(o), 2
			}
			if c := runtest.State(t, s, id); c.Locked || c.Version != version {
				t.Errorf("the state is %+v, want it free at version %d", c, version)
			}
			if got := runtest.ItemIDs(t, s, id); got != want {
				t.Errorf("the items are %s, want %s", got, want)
			}
			wantStale(t, "a repeated Settle", s.Settle(t.Context(), o))
			if got := runtest.ItemIDs(t, s, id); got != want {
				t.Errorf("after the repetition the items are %s", got)
			}
			next := runtest.Claimed(t, s, runtest.On(id, version))
			if c := runtest.State(t, s, id); !c.Locked || c.ChangedBy != next.ID {
				t.Errorf("under the next response the state is %+v", c)
			}
		})
	}
}

func TestAcceptOnAConversationThatMovedOn(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 1)
	first := runtest.NewRequest()
	runtest.On(id, 0)(&first)
	for range 2 { // the second as if the answer was lost
		if _, err := s.Accept(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	before := runtest.Dump(t, s)
	for seen := range int64(4) {
		if seen == 1 { // it is locked, which the caller is to see
			continue
		}
		n := runtest.NewRequest()
		runtest.On(id, seen)(&n)
		wantStale(t, fmt.Sprintf("Accept at version %d of 1", seen), runtest.Refusal(t, s, n))
		n.Admit = true
		wantStale(t, fmt.Sprintf("Accept to start at once at version %d of 1", seen), runtest.Refusal(t, s, n))
	}
	unknown := runtest.NewRequest()
	runtest.On(uuid.New(), 0)(&unknown)
	wantStale(t, "Accept on no conversation", runtest.Refusal(t, s, unknown))
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("a refused Accept wrote (-before +after):\n%s", diff)
	}
	runtest.Settle(t, s, run.Row{ID: first.ID, Tenant: runtest.Tenant}, run.Cancelled, false)
	second := runtest.NewRequest()
	runtest.On(id, 1)(&second)
	if a := runtest.Accept(t, s, second); a.Row.Conversation != id {
		t.Fatalf("Accept = %+v", a)
	}
	if _, err := s.Accept(t.Context(), first); err != nil { // its row is there, whatever came after it
		t.Errorf("the first Accept once more: %v", err)
	}
}

// However accepts and changes of one conversation come together, in one
// statement or in many, one of them wins.
func TestOneOfManyTakesAConversation(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	const rivals = 12
	for round := range 10 {
		id := runtest.Conversation(t, s, 1)
		won := make([]bool, rivals+2)
		all := make([]store.NewRequest, rivals)
		for i := range all {
			all[i] = runtest.NewRequest()
			runtest.On(id, 0)(&all[i])
		}
		if round%2 == 0 {
			verdicts, err := s.AcceptAll(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range verdicts {
				won[i] = v.Refusal() == nil
			}
		} else {
			var wg sync.WaitGroup
			try := func(i int, do func() error) {
				wg.Go(func() {
					err := do()
					if won[i] = err == nil; err != nil && !errors.Is(err, store.ErrStale) {
						t.Error(err)
					}
				})
			}
			for i, n := range all {
				try(i, func() error {
					v, err := s.AcceptAll(t.Context(), []store.NewRequest{n})
					if err == nil && v[0].Refusal() != nil {
						err = store.ErrStale
					}
					return err
				})
			}
			for i := range 2 {
				change := conversations.Change{ID: uuid.New(), Tenant: runtest.Tenant, Conversation: id, Add: []run.NewItem{runtest.NewItem("msg_2")}}
				try(rivals+i, func() error { return s.Conversations.ChangeItems(t.Context(), change) })
			}
			wg.Wait()
		}
		winners := 0
		for i, ok := range won {
			if ok {
				winners++
			}
			if i < rivals {
				if _, err := s.Look(t.Context(), all[i].ID); ok != (err == nil) {
					t.Errorf("round %d: request %d won: %v, its row: %v", round, i, ok, err)
				}
			}
		}
		if c := runtest.State(t, s, id); winners != 1 || c.Version != 1 {
			t.Errorf("round %d: %d winners, the conversation is at version %d", round, winners, c.Version)
		}
	}
}

// Deadlocks between accepts and settlements of the same conversations would end
// one of them with an error.
func TestConversationsAreLockedInOrder(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	const talks, rounds = 8, 15
	ids := make([]uuid.UUID, talks)
	for i := range ids {
		ids[i] = runtest.Conversation(t, s, 1)
	}
	var wg sync.WaitGroup
	var want sync.Map // conversation → count of items
	for worker := range 4 {
		wg.Go(func() {
			for round := range rounds {
				var all []store.NewRequest
				for i := range ids { // each worker in another order
					id := ids[(i*(2*worker+1)+round)%talks]
					c := runtest.State(t, s, id)
					n := runtest.NewRequest()
					runtest.On(id, c.Version)(&n)
					if n.Admit, n.Lane = true, n.ID.String(); !c.Locked {
						all = append(all, n)
					}
				}
				verdicts, err := s.AcceptAll(t.Context(), all)
				if err != nil {
					t.Error(err)
					return
				}
				var ends []store.Settlement
				for i, v := range verdicts {
					if !v.Started() {
						continue
					}
					r := runtest.Look(t, s, all[i].ID)
					if _, err := s.CommitTurn(t.Context(), r, run.TurnCommit{Fence: runtest.FenceOf(r), Outcome: run.Completed}); err != nil {
						t.Error(err)
					}
					n, _ := want.LoadOrStore(uuid.UUID(r.Conversation), new(int))
					*n.(*int) += 2 // its lock is ours
					ends = append(ends, adds(r, run.Completed, 2))
				}
				if _, err := s.SettleAll(t.Context(), ends); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		n, _ := want.LoadOrStore(id, new(int))
		if got := len(strings.Fields(runtest.ItemIDs(t, s, id))); got != *n.(*int)+1 {
			t.Errorf("conversation %s has %d items, want %d", id, got, *n.(*int)+1)
		}
	}
}

func TestSettlementOnADeletedConversation(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for round := range 20 {
		id := runtest.Conversation(t, s, 1)
		r := runtest.InSettle(t, s, run.Completed, runtest.On(id, 0))
		o := adds(r, run.Completed, 2)
		if round == 0 { // once for certain, then as it comes
			if err := s.Conversations.Delete(t.Context(), runtest.Tenant, id); err != nil {
				t.Fatal(err)
			}
			if err := s.Settle(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Settle(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := s.Conversations.Delete(t.Context(), runtest.Tenant, id); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	if left := runtest.Ask[int](t, s, `SELECT count(*) FROM conversation_items`)[0]; left != 0 {
		t.Errorf("%d items are left of deleted conversations", left)
	}
	if n := runtest.Ask[int](t, s, `SELECT count(*) FROM requests WHERE status = 'completed'`)[0]; n != 20 {
		t.Errorf("%d responses are completed, want 20", n)
	}
}

// A settlement must not be stuck on an item whose id is there, however that
// came about.
func TestSettlementLeavesOutWhatIsThere(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 2)
	r := runtest.InSettle(t, s, run.Incomplete, runtest.On(id, 0))
	o := adds(r, run.Incomplete, 1)
	o.Items = append([]run.NewItem{runtest.NewItem("msg_2")}, append(o.Items, runtest.NewItem("msg_3"))...)
	if err := s.Settle(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got, want := runtest.ItemIDs(t, s, id), "msg_1 msg_2 "+o.Items[1].ID+" msg_3"; got != want {
		t.Errorf("the items are %s, want %s", got, want)
	}
}

// A response whose row is gone holds no lock: nothing that a client can do
// locks a conversation for good.
func TestADeletedResponseLeavesItsItems(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 0)
	r := runtest.InSettle(t, s, run.Completed, runtest.On(id, 0))
	o := adds(r, run.Completed, 1)
	if err := s.Settle(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := s.Retention.Delete(t.Context(), runtest.Tenant, r.ID); err != nil {
		t.Fatal(err)
	}
	if c := runtest.State(t, s, id); c.Locked || c.ChangedBy != r.ID {
		t.Errorf("the state is %+v, want it free", c)
	}
	if got := runtest.ItemIDs(t, s, id); got != names(o) {
		t.Errorf("the items are %s, want %s", got, names(o))
	}
	found, err := s.Answers.FindItems(t.Context(), runtest.Tenant, []answers.ItemRef{{ID: o.Items[0].ID, Request: r.ID}}, 1000)
	if err != nil || len(found.Items) != 1 {
		t.Errorf("FindItems = %v, %v; want the item of the conversation", found, err)
	}
}

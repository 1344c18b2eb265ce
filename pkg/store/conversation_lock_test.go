package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/postgres"
)

// adds is a settlement with n items, named after the request.
func adds(r Row, status Status, n int) Settlement {
	o := Settlement{ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: status, Answer: []byte("answer")}
	for i := range n {
		o.Items = append(o.Items, newItem(fmt.Sprintf("%s_%d", uuid.UUID(r.ID), i+1)))
	}
	return o
}

func names(o Settlement) string {
	return strings.Join(postgres.Column(o.Items, func(i NewItem) string { return i.ID }), " ")
}

// The lock goes with whatever ends the response, and only a stored one that is completed or incomplete adds what it said.
func TestEveryEndUnlocksAConversation(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, tt := range []struct {
		end      Status
		unstored bool
		adds     bool
	}{
		{Completed, false, true},
		{Incomplete, false, true},
		{Failed, false, false},
		{Cancelled, false, false},
		{Expired, false, false},
		{Completed, true, false},
		{Incomplete, true, false},
	} {
		t.Run(fmt.Sprintf("%s, unstored %v", tt.end, tt.unstored), func(t *testing.T) {
			t.Parallel()
			id := talk(t, s, 1)
			change := func(n *NewRequest) {
				on(id, 0)(n)
				if n.Unstored = tt.unstored; tt.end == Expired {
					overdue(n)
				}
			}
			var r Row
			if tt.end == Cancelled || tt.end == Expired {
				r = inTools(t, s, 1, change)
			} else {
				r = inSettle(t, s, tt.end, change)
			}
			if c := state(t, s, id); !c.Locked || c.ChangedBy != r.ID || c.Version != 1 || r.Conversation != id {
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
			if c := state(t, s, id); c.Locked || c.Version != version {
				t.Errorf("the state is %+v, want it free at version %d", c, version)
			}
			if got := spoken(t, s, id); got != want {
				t.Errorf("the items are %s, want %s", got, want)
			}
			wantStale(t, "a repeated Settle", s.Settle(t.Context(), o))
			if got := spoken(t, s, id); got != want {
				t.Errorf("after the repetition the items are %s", got)
			}
			next := claimed(t, s, on(id, version))
			if c := state(t, s, id); !c.Locked || c.ChangedBy != next.ID {
				t.Errorf("under the next response the state is %+v", c)
			}
		})
	}
}

func TestAcceptOnAConversationThatMovedOn(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := talk(t, s, 1)
	first := newRequest()
	on(id, 0)(&first)
	for range 2 { // the second as if the answer was lost
		if _, err := s.Accept(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	before := dump(t, s)
	for seen := range int64(4) {
		if seen == 1 { // it is locked, which the caller is to see
			continue
		}
		n := newRequest()
		on(id, seen)(&n)
		wantStale(t, fmt.Sprintf("Accept at version %d of 1", seen), refusal(t, s, n))
		n.Admit = true
		wantStale(t, fmt.Sprintf("Accept to start at once at version %d of 1", seen), refusal(t, s, n))
	}
	unknown := newRequest()
	on(uuid.New(), 0)(&unknown)
	wantStale(t, "Accept on no conversation", refusal(t, s, unknown))
	if diff := cmp.Diff(before, dump(t, s)); diff != "" {
		t.Errorf("a refused Accept wrote (-before +after):\n%s", diff)
	}
	settle(t, s, Row{ID: first.ID, Tenant: testTenant}, Cancelled, false)
	second := newRequest()
	on(id, 1)(&second)
	if a := accept(t, s, second); a.Row.Conversation != id {
		t.Fatalf("Accept = %+v", a)
	}
	if _, err := s.Accept(t.Context(), first); err != nil { // its row is there, whatever came after it
		t.Errorf("the first Accept once more: %v", err)
	}
}

// However accepts and changes of one conversation come together, in one statement or in many, one of them wins.
func TestOneOfManyTakesAConversation(t *testing.T) {
	t.Parallel()
	s := open(t)
	const rivals = 12
	for round := range 10 {
		id := talk(t, s, 1)
		won := make([]bool, rivals+2)
		all := make([]NewRequest, rivals)
		for i := range all {
			all[i] = newRequest()
			on(id, 0)(&all[i])
		}
		if round%2 == 0 {
			verdicts, err := s.acceptAll(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range verdicts {
				won[i] = v.refusal == nil
			}
		} else {
			var wg sync.WaitGroup
			try := func(i int, do func() error) {
				wg.Go(func() {
					err := do()
					if won[i] = err == nil; err != nil && !errors.Is(err, ErrStale) {
						t.Error(err)
					}
				})
			}
			for i, n := range all {
				try(i, func() error {
					v, err := s.acceptAll(t.Context(), []NewRequest{n})
					if err == nil && v[0].refusal != nil {
						err = ErrStale
					}
					return err
				})
			}
			for i := range 2 {
				change := ItemsChange{ID: uuid.New(), Tenant: testTenant, Conversation: id, Add: []NewItem{newItem("msg_2")}}
				try(rivals+i, func() error { return s.ChangeItems(t.Context(), change) })
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
		if c := state(t, s, id); winners != 1 || c.Version != 1 {
			t.Errorf("round %d: %d winners, the conversation is at version %d", round, winners, c.Version)
		}
	}
}

// Deadlocks between accepts and settlements of the same conversations would end one of them with an error.
func TestConversationsAreLockedInOrder(t *testing.T) {
	t.Parallel()
	s := open(t)
	const talks, rounds = 8, 15
	ids := make([]uuid.UUID, talks)
	for i := range ids {
		ids[i] = talk(t, s, 1)
	}
	var wg sync.WaitGroup
	var want sync.Map // conversation → count of items
	for worker := range 4 {
		wg.Go(func() {
			for round := range rounds {
				var all []NewRequest
				for i := range ids { // each worker in another order
					id := ids[(i*(2*worker+1)+round)%talks]
					c := state(t, s, id)
					n := newRequest()
					on(id, c.Version)(&n)
					if n.Admit, n.Lane = true, n.ID.String(); !c.Locked {
						all = append(all, n)
					}
				}
				verdicts, err := s.acceptAll(t.Context(), all)
				if err != nil {
					t.Error(err)
					return
				}
				var ends []Settlement
				for i, v := range verdicts {
					if !v.started {
						continue
					}
					r := look(t, s, all[i].ID)
					if _, err := s.CommitTurn(t.Context(), r, TurnCommit{Fence: fenceOf(r), Outcome: Completed}); err != nil {
						t.Error(err)
					}
					n, _ := want.LoadOrStore(uuid.UUID(r.Conversation), new(int))
					*n.(*int) += 2 // its lock is ours
					ends = append(ends, adds(r, Completed, 2))
				}
				if _, err := s.settleAll(t.Context(), ends); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		n, _ := want.LoadOrStore(id, new(int))
		if got := len(strings.Fields(spoken(t, s, id))); got != *n.(*int)+1 {
			t.Errorf("conversation %s has %d items, want %d", id, got, *n.(*int)+1)
		}
	}
}

func TestSettlementOnADeletedConversation(t *testing.T) {
	t.Parallel()
	s := open(t)
	for round := range 20 {
		id := talk(t, s, 1)
		r := inSettle(t, s, Completed, on(id, 0))
		o := adds(r, Completed, 2)
		if round == 0 { // once for certain, then as it comes
			if err := s.DeleteConversation(t.Context(), testTenant, id); err != nil {
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
			if err := s.DeleteConversation(t.Context(), testTenant, id); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	if left := ask[int](t, s, `SELECT count(*) FROM conversation_items`)[0]; left != 0 {
		t.Errorf("%d items are left of deleted conversations", left)
	}
	if n := ask[int](t, s, `SELECT count(*) FROM requests WHERE status = 'completed'`)[0]; n != 20 {
		t.Errorf("%d responses are completed, want 20", n)
	}
}

// A settlement must not be stuck on an item whose id is there, however that came about.
func TestSettlementLeavesOutWhatIsThere(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := talk(t, s, 2)
	r := inSettle(t, s, Incomplete, on(id, 0))
	o := adds(r, Incomplete, 1)
	o.Items = append([]NewItem{newItem("msg_2")}, append(o.Items, newItem("msg_3"))...)
	if err := s.Settle(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got, want := spoken(t, s, id), "msg_1 msg_2 "+o.Items[1].ID+" msg_3"; got != want {
		t.Errorf("the items are %s, want %s", got, want)
	}
}

// A response whose row is gone holds no lock: nothing that a client can do locks a conversation for good.
func TestADeletedResponseLeavesItsItems(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := talk(t, s, 0)
	r := inSettle(t, s, Completed, on(id, 0))
	o := adds(r, Completed, 1)
	if err := s.Settle(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), testTenant, r.ID); err != nil {
		t.Fatal(err)
	}
	if c := state(t, s, id); c.Locked || c.ChangedBy != r.ID {
		t.Errorf("the state is %+v, want it free", c)
	}
	if got := spoken(t, s, id); got != names(o) {
		t.Errorf("the items are %s, want %s", got, names(o))
	}
	found, err := s.FindItems(t.Context(), testTenant, []ItemRef{{ID: o.Items[0].ID, Request: r.ID}}, 1000)
	if err != nil || len(found.Items) != 1 {
		t.Errorf("FindItems = %v, %v; want the item of the conversation", found, err)
	}
}

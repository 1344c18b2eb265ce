package store_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestAcceptRepeatedIsHarmless(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	n := runtest.NewRequest()
	n.Body = []byte("nul \x00 and \xff")
	if _, err := s.Accept(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	before := runtest.Dump(t, s)
	again := n
	again.Body = []byte("another")
	if _, err := s.Accept(t.Context(), again); err != nil {
		t.Errorf("repeated accept: %v", err)
	}
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("the repeated accept wrote (-before +after):\n%s", diff)
	}
	got, err := s.Answers.Read(t.Context(), n.Tenant, n.ID)
	if err != nil || string(got.Body) != string(n.Body) || got.Status != run.Queued || got.Final != nil {
		t.Errorf("Answer = %+v, %v; want the queued request with body %q", got, err, n.Body)
	}
	if _, err := s.Answers.Read(t.Context(), "another tenant", n.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Answer for another tenant = %v, want ErrNotFound", err)
	}
	if _, err := s.Answers.Read(t.Context(), n.Tenant, uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Answer for an unknown id = %v, want ErrNotFound", err)
	}
}

func TestAcceptRepeatedAfterTheClaim(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	n := runtest.NewRequest()
	for range 2 {
		if _, err := s.Accept(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(t.Context(), []store.Slots{{runtest.Lane, 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := runtest.Look(t, s, n.ID); got.Status != run.InProgress || got.Epoch != 1 {
		t.Errorf("the row is %s in epoch %d, want in_progress in epoch 1", got.Status, got.Epoch)
	}
}

func TestAcceptOneIDTwiceInOneStatement(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	n := runtest.NewRequest()
	if _, err := s.AcceptAll(t.Context(), []store.NewRequest{n, runtest.NewRequest(), n}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Backlog(t.Context(), 10); got != 2 || err != nil {
		t.Errorf("Backlog = %d, %v; want 2", got, err)
	}
}

// Two statements that hold the same ids in opposite orders must not wait for
// one another.
func TestAcceptInOppositeOrders(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for range 20 {
		all := make([]store.NewRequest, 100)
		for i := range all {
			all[i] = runtest.NewRequest()
		}
		back := slices.Clone(all)
		slices.Reverse(back)
		var wg sync.WaitGroup
		for _, group := range [][]store.NewRequest{all, back} {
			wg.Go(func() {
				if _, err := s.AcceptAll(t.Context(), group); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if got := runtest.Ask[int](t, s, `SELECT count(*) FROM bodies`)[0]; got != 2000 {
		t.Errorf("%d bodies, want 2000", got)
	}
}

func TestAcceptFrom32Goroutines(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	var mu sync.Mutex
	var ids []uuid.UUID
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				n := runtest.NewRequest()
				n.Body = []byte(n.ID.String())
				if _, err := s.Accept(t.Context(), n); err != nil {
					t.Error(err)
				}
				mu.Lock()
				ids = append(ids, n.ID)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		a, err := s.Answers.Read(t.Context(), runtest.Tenant, id)
		if err != nil || string(a.Body) != id.String() {
			t.Fatalf("Answer(%s) = %+v, %v; want its own body", id, a, err)
		}
	}
	if got, err := s.Backlog(t.Context(), 1000); got != len(ids) || err != nil {
		t.Errorf("Backlog = %d, %v; want %d", got, err, len(ids))
	}
	if got, err := s.Backlog(t.Context(), 7); got != 7 || err != nil {
		t.Errorf("Backlog up to 7 = %d, %v; want 7", got, err)
	}
}

// claimOrder accepts what the plan says, in order, and claims one by one.
func claimOrder(t *testing.T, s *runtest.World, plan []store.NewRequest) []string {
	t.Helper()
	for _, n := range plan {
		n.ID, n.Endpoint, n.Model, n.Lane = uuid.Must(uuid.NewV7()), "responses", "m", runtest.Lane
		n.Timeout, n.Body = runtest.NewRequest().Timeout, []byte("{}")
		if _, err := s.Accept(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	var order []string
	for {
		rows, err := s.Claim(t.Context(), []store.Slots{{runtest.Lane, 1}})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			return order
		}
		order = append(order, rows[0].Tenant)
	}
}

func TestClaimOrderIsFair(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	plan := slices.Repeat([]store.NewRequest{{Tenant: "big", Tier: 1}}, 300)
	plan = append(plan, slices.Repeat([]store.NewRequest{{Tenant: "small", Tier: 1}}, 5)...)
	plan = append(plan, store.NewRequest{Tenant: "rt", Tier: 0})
	order := claimOrder(t, s, plan)
	if len(order) != 306 {
		t.Fatalf("%d requests claimed, want 306", len(order))
	}
	got := strings.Join(order[:12], " ")
	if want := "rt big big small big small big small big small big small"; got != want {
		t.Errorf("claim order\n got %s …\nwant %s …", got, want)
	}
}

func TestClaimOrderFollowsWeights(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	plan := slices.Repeat([]store.NewRequest{{Tenant: "one", Tier: 1}}, 20)
	plan = append(plan, slices.Repeat([]store.NewRequest{{Tenant: "four", Tier: 1, Weight: 4}}, 20)...)
	first := claimOrder(t, s, plan)[:10]
	n := 0
	for _, tenant := range first {
		if tenant == "four" {
			n++
		}
	}
	if n < 7 {
		t.Errorf("a tenant of weight 4 has %d of the first 10 claims beside one of weight 1, want 7 at least: %v", n, first)
	}
}

// A tenant that was idle must not have saved up turns, nor be behind one that
// was busy all the time.
func TestClaimOrderAfterIdleness(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for range 50 {
		runtest.Accepted(t, s, func(n *store.NewRequest) { n.Tenant = "busy" })
	}
	if _, err := s.Claim(t.Context(), []store.Slots{{runtest.Lane, 40}}); err != nil {
		t.Fatal(err)
	}
	order := claimOrder(t, s, slices.Repeat([]store.NewRequest{{Tenant: "late", Tier: 1}}, 10))
	got := strings.Join(order[:6], " ")
	if want := "busy busy late busy late busy"; got != want {
		t.Errorf("claim order\n got %s …\nwant %s …", got, want)
	}
}

package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

// limitedTo returns a new request of a tenant with limits.
func limitedTo(l limits.Limits) store.NewRequest {
	n := runtest.NewRequest()
	n.Limits = l
	return n
}

// wantLimit wants a request refused by a limit, and nothing written.
func wantLimit(t *testing.T, s *runtest.World, n store.NewRequest, want limits.Limit) *limits.Error {
	t.Helper()
	before := runtest.Dump(t, s)
	_, err := s.Accept(t.Context(), n)
	var limit *limits.Error
	if !errors.As(err, &limit) || limit.Limit != want || postgres.Unavailable(err) {
		t.Fatalf("Accept = %v, want the limit of %s", err, want)
	}
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("the refused request wrote (-before +after):\n%s", diff)
	}
	return limit
}

// pass makes time go by for the budgets.
func pass(t *testing.T, s *runtest.World, d time.Duration) {
	t.Helper()
	runtest.Exec(t, s, `UPDATE budgets SET requests_until = requests_until - make_interval(secs => $1), tokens_until = tokens_until - make_interval(secs => $1)`,
		d.Seconds())
}

func about(got, want time.Duration) bool {
	return got > want-5*time.Second && got <= want+time.Millisecond
}

func TestRequestsPerMinute(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := limits.Limits{Requests: limits.Rate{PerMinute: 2, Burst: 3}} // one comes back every 30 s
	for i := range 3 {
		got := runtest.Accept(t, s, limitedTo(l)).Quota.Requests
		if got.Remaining != 2-i || !about(got.Reset, time.Duration(i+1)*30*time.Second) {
			t.Errorf("after request %d: %+v, want %d left and the rest in %d s", i+1, got, 2-i, 30*(i+1))
		}
	}
	refused := wantLimit(t, s, limitedTo(l), limits.Requests)
	if !about(refused.After, 30*time.Second) || refused.Quota.Requests.Remaining != 0 || !about(refused.Quota.Requests.Reset, 90*time.Second) {
		t.Errorf("refused with %+v, want a try in 30 s and the rest in 90 s", refused)
	}
	pass(t, s, 31*time.Second)
	runtest.Accept(t, s, limitedTo(l))
	_ = wantLimit(t, s, limitedTo(l), limits.Requests)
	pass(t, s, time.Hour)
	for range 3 { // what was not used is not saved up
		runtest.Accept(t, s, limitedTo(l))
	}
	_ = wantLimit(t, s, limitedTo(l), limits.Requests)
	other := limitedTo(l)
	other.Tenant = "other"
	runtest.Accept(t, s, other)
	runtest.Accept(t, s, runtest.NewRequest()) // a request without limits
}

func TestOneStatementWithMoreThanFits(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := limits.Limits{Requests: limits.Rate{PerMinute: 1, Burst: 2}}
	all := []store.NewRequest{limitedTo(l), runtest.NewRequest(), limitedTo(l), limitedTo(l), limitedTo(l)}
	all[1].Tenant = "free"
	all[3].Tenant = "other"
	got, err := s.AcceptAll(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	for i, wantLeft := range []int{1, 0, 0, 1, -1} {
		_, err := s.Look(t.Context(), all[i].ID)
		if refused := wantLeft < 0; (got[i].Refusal() != nil) != refused || errors.Is(err, store.ErrNotFound) != refused {
			t.Errorf("request %d: %v, Look %v; want it refused: %v", i, got[i].Refusal(), err, refused)
		} else if !refused && got[i].Quota().Requests.Remaining != wantLeft {
			t.Errorf("request %d leaves %+v, want %d", i, got[i].Quota(), wantLeft)
		}
	}
	var limit *limits.Error
	if !errors.As(got[4].Refusal(), &limit) || !about(limit.After, 60*time.Second) {
		t.Errorf("the third of a tenant with room for two gets %+v, want a try in 60 s", limit)
	}
}

// Two stores are two gateways. Not one more is accepted than there is room for,
// also when a tenant is met for the first time.
func TestLimitsHoldOverGateways(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, runtest.Migrate)
	gateways := []*runtest.World{runtest.OpenAt(t, url), runtest.OpenAt(t, url)}
	for _, tt := range []struct {
		name   string
		limits limits.Limits
		want   int64
	}{
		{"requests per minute", limits.Limits{Requests: limits.Rate{PerMinute: 1, Burst: 20}}, 20},
		{"requests in flight", limits.Limits{InFlight: 20}, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var ok atomic.Int64
			var wg sync.WaitGroup
			for i := range 200 {
				wg.Go(func() {
					n := limitedTo(tt.limits)
					n.Tenant = tt.name
					_, err := gateways[i%2].Accept(t.Context(), n)
					var limit *limits.Error
					if err == nil {
						ok.Add(1)
					} else if !errors.As(err, &limit) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if got := ok.Load(); got != tt.want {
				t.Errorf("%d of 200 accepted, want %d", got, tt.want)
			}
		})
	}
}

func TestRequestsInFlight(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := func(n *store.NewRequest) { n.Limits = limits.Limits{InFlight: 2} }
	running := runtest.InSettle(t, s, run.Completed, l)
	runtest.Accepted(t, s, l)
	over := limitedTo(limits.Limits{InFlight: 2})
	if got := wantLimit(t, s, over, limits.InFlight); got.After != 0 || got.Quota.InFlight != 2 {
		t.Errorf("refused with %+v, want 2 in flight and no time", got)
	}
	runtest.Settle(t, s, running, run.Completed, true)
	if got := runtest.Accept(t, s, over).Quota.InFlight; got != 2 {
		t.Errorf("%d in flight, want 2 with this one", got)
	}
	_ = wantLimit(t, s, limitedTo(limits.Limits{InFlight: 2}), limits.InFlight)
	runtest.Accept(t, s, limitedTo(limits.Limits{})) // not asked to be counted
	other := limitedTo(limits.Limits{InFlight: 1})
	other.Tenant = "other"
	runtest.Accept(t, s, other)
}

func TestTokensAreChargedAtTheEnd(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := limits.Limits{Tokens: limits.Rate{PerMinute: 60, Burst: 100}} // one comes back every second
	limited := func(n *store.NewRequest) { n.Limits = l }
	first := runtest.Commit(t, s, runtest.Claimed(t, s, limited), run.TurnCommit{Outcome: run.Completed, InputTokens: 30, OutputTokens: 20})
	second := runtest.Commit(t, s, runtest.Claimed(t, s, limited), run.TurnCommit{Steps: runtest.NewSteps(1), InputTokens: 100, OutputTokens: 10})
	if got := runtest.Accept(t, s, limitedTo(l)).Quota.Tokens; got.Remaining != 100 || got.Reset != 0 {
		t.Errorf("before anything has ended %+v is left, want all 100", got)
	}
	runtest.Settle(t, s, first, run.Completed, false)
	got := runtest.Accept(t, s, limitedTo(l)).Quota.Tokens
	if got.Remaining < 50 || got.Remaining > 55 || !about(got.Reset, 50*time.Second) {
		t.Errorf("after 50 tokens %+v is left, want 50", got)
	}
	runtest.Settle(t, s, second, run.Cancelled, false) // what a cancelled request used was used
	refused := wantLimit(t, s, limitedTo(l), limits.Tokens)
	if !about(refused.After, 61*time.Second) || refused.Quota.Tokens.Remaining != 0 {
		t.Errorf("after 160 tokens of 100 refused with %+v, want a try in 61 s", refused)
	}
	pass(t, s, 60*time.Second)
	pass(t, s, time.Second)
	runtest.Accept(t, s, limitedTo(l))
}

// A limit costs no commit of its own: a transaction is named by the rows it
// wrote.
func TestChargesAreOfTheAcceptsCommit(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for range 3 {
		n := limitedTo(limits.Limits{Requests: limits.Rate{PerMinute: 60, Burst: 60}, Tokens: limits.Rate{PerMinute: 60, Burst: 60}, InFlight: 10})
		n.Once = runtest.Key(n.ID.String())
		runtest.Accept(t, s, n)
		const sameSQL = `
SELECT r.id FROM requests r JOIN budgets b ON b.xmin = r.xmin JOIN bodies o ON o.xmin = r.xmin JOIN idempotency i ON i.xmin = r.xmin`
		if got := runtest.Ask[uuid.UUID](t, s, sameSQL); len(got) != 1 || got[0] != n.ID {
			t.Errorf("%v was written with the charge, the body and the key in one transaction, want %s", got, n.ID)
		}
	}
}

func TestOnlyLimitedTenantsAreCharged(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := limits.Limits{Requests: limits.Rate{PerMinute: 60, Burst: 60}}
	runtest.Accept(t, s, limitedTo(l))
	before := runtest.Ask[time.Time](t, s, `SELECT tokens_until FROM budgets`)
	r := runtest.Commit(t, s, runtest.Claimed(t, s), run.TurnCommit{Outcome: run.Completed, InputTokens: 30})
	runtest.Settle(t, s, r, run.Completed, false)
	free := runtest.Commit(t, s, runtest.Claimed(t, s, func(n *store.NewRequest) { n.Tenant = "free" }), run.TurnCommit{Outcome: run.Completed, InputTokens: 30})
	runtest.Settle(t, s, free, run.Completed, false)
	if after := runtest.Ask[time.Time](t, s, `SELECT tokens_until FROM budgets`); len(after) != 1 || !after[0].Equal(before[0]) {
		t.Errorf("budgets %v became %v, want the one as it was", before, after)
	}
	l.Tokens = limits.Rate{PerMinute: 60, Burst: 60}
	runtest.Accept(t, s, limitedTo(l)) // a limit that is new is heard of
	r = runtest.Commit(t, s, runtest.Claimed(t, s), run.TurnCommit{Outcome: run.Completed, InputTokens: 30})
	runtest.Settle(t, s, r, run.Completed, false)
	if after := runtest.Ask[time.Time](t, s, `SELECT tokens_until FROM budgets`); !after[0].After(before[0].Add(20 * time.Second)) {
		t.Errorf("30 tokens moved the budget from %v to %v", before, after)
	}
}

// Settlements of many tenants at once lock budgets, as accepts do.
func TestChargesInOppositeOrders(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := limits.Limits{Requests: limits.Rate{PerMinute: 1e6, Burst: 1e6}, Tokens: limits.Rate{PerMinute: 1e6, Burst: 1e6}}
	tenant := func(i int) string { return fmt.Sprintf("t%02d", i) }
	var forth, back []store.Settlement
	for i := range 40 {
		for _, list := range []*[]store.Settlement{&forth, &back} {
			r := runtest.Commit(t, s, runtest.Claimed(t, s, func(n *store.NewRequest) { n.Tenant, n.Limits = tenant(i), l }), run.TurnCommit{Outcome: run.Completed, InputTokens: 5})
			*list = append(*list, store.Settlement{ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: run.Completed})
		}
	}
	for i := range back[:20] {
		back[i], back[39-i] = back[39-i], back[i]
	}
	var wg sync.WaitGroup
	for _, group := range [][]store.Settlement{forth, back} {
		wg.Go(func() {
			if _, err := s.SettleAll(t.Context(), group); err != nil {
				t.Error(err)
			}
		})
	}
	for range 10 {
		wg.Go(func() {
			var all []store.NewRequest
			for i := range 40 {
				n := limitedTo(l)
				n.Tenant = tenant(39 - i)
				all = append(all, n)
			}
			if _, err := s.AcceptAll(t.Context(), all); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := runtest.Ask[int](t, s, `SELECT count(*) FROM requests WHERE status = 'completed'`)[0]; n != 80 {
		t.Errorf("%d requests completed, want 80", n)
	}
}

func TestRepeatsAreNotCharged(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := limits.Limits{Requests: limits.Rate{PerMinute: 1, Burst: 2}}
	first, again := limitedTo(l), limitedTo(l)
	first.Once, again.Once = runtest.Key("k"), runtest.Key("k")
	runtest.Accept(t, s, first)
	runtest.WantErr(t, "Accept with a used key", runtest.Refusal(t, s, again), idempotency.ErrUsed)
	runtest.Accept(t, s, limitedTo(l))
	_ = wantLimit(t, s, limitedTo(l), limits.Requests)
}

// A gateway repeats an accept whose answer was lost: the row exists, and a
// client that got the limit's error would send another request.
func TestAcceptsWhoseAnswerWasLostAreNotRefused(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := limits.Limits{Requests: limits.Rate{PerMinute: 1, Burst: 1}, InFlight: 1}
	n := limitedTo(l)
	runtest.Accept(t, s, n)
	before := runtest.Dump(t, s)
	if got := runtest.Accept(t, s, n); got.Row.ID != n.ID || got.Row.Status != run.Queued {
		t.Errorf("repeated, it is %+v, want it queued", got.Row)
	}
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("the repeat wrote (-before +after):\n%s", diff)
	}
	_ = wantLimit(t, s, limitedTo(l), limits.InFlight)
}

func TestTokensOfThoseWithoutALimitAreForgotten(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := limits.Limits{Tokens: limits.Rate{PerMinute: 60, Burst: 60}}
	use := func(tenant string) {
		t.Helper()
		r := runtest.Commit(t, s, runtest.Claimed(t, s, func(n *store.NewRequest) { n.Tenant, n.Limits = tenant, l }), run.TurnCommit{Outcome: run.Completed, InputTokens: 600})
		runtest.Settle(t, s, r, run.Completed, false)
	}
	use("kept")
	use("freed")
	for range 2 {
		if err := s.Budgets.StopCharging(t.Context(), []string{"kept", "unheard-of"}); err != nil {
			t.Fatal(err)
		}
	}
	free := runtest.Commit(t, s, runtest.Claimed(t, s, func(n *store.NewRequest) { n.Tenant = "freed" }), run.TurnCommit{Outcome: run.Completed, InputTokens: 600})
	runtest.Settle(t, s, free, run.Completed, false)
	for tenant, want := range map[string]error{"kept": &limits.Error{}, "freed": nil} {
		n := limitedTo(l)
		n.Tenant = tenant
		_, err := s.Accept(t.Context(), n)
		var limit *limits.Error
		if errors.As(err, &limit) != (want != nil) || limit == nil && err != nil {
			t.Errorf("%s, with a limit again: %v, want %v", tenant, err, want)
		}
	}
	if err := s.Budgets.StopCharging(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if n := runtest.Ask[int](t, s, `SELECT count(*) FROM budgets WHERE token_cost > 0`)[0]; n != 0 {
		t.Errorf("%d tenants are charged, want none", n)
	}
}

package admission

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/limits"
)

func TestSpent(t *testing.T) {
	t.Parallel()
	l := limitsOf(registry.Tenant{RequestsPerMinute: 2, TokensPerMinute: 60, InFlight: 5}) // a request comes back every 30 s
	over := func(limit limits.Limit, after, reset time.Duration) *limits.Error {
		return &limits.Error{Limit: limit, After: after, Quota: limits.Quota{Requests: limits.Allowance{Reset: reset}}}
	}
	for _, tt := range []struct {
		name  string
		error *limits.Error
		want  time.Duration // of the first time at which the database is asked again
	}{
		{"requests", over(limits.Requests, 20*time.Second, 50*time.Second), 20 * time.Second},
		{"requests, the third of a statement", over(limits.Requests, 80*time.Second, 50*time.Second), 20 * time.Second},
		{"requests, behind one that took the last", over(limits.Requests, 10*time.Second, 10*time.Second), 0},
		{"tokens", over(limits.Tokens, 40*time.Second, 0), 40 * time.Second},
		{"in flight", over(limits.InFlight, 0, 0), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := NewRefusalCache()
				s.add("a", l, time.Now(), tt.error)
				if tt.want > 0 {
					time.Sleep(tt.want - 5*time.Second) //nolint:forbidigo // in a bubble
					want := *tt.error
					want.After = 5 * time.Second
					want.Quota.Requests.Reset = max(want.Quota.Requests.Reset-(tt.want-5*time.Second), 0)
					if diff := cmp.Diff(&want, s.refuse("a", l)); diff != "" {
						t.Errorf("5 s before, the refusal differs (-want +got):\n%s", diff)
					}
					other := l
					other.Requests.PerMinute = 3
					if s.refuse("b", l) != nil || s.refuse("a", other) != nil {
						t.Error("another tenant, or the same with other limits, is refused")
					}
					time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
				}
				if got := s.refuse("a", l); got != nil {
					t.Errorf("at its time it is refused with %+v", got)
				}
			})
		})
	}
}

func TestSpentIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limitsOf(registry.Tenant{RequestsPerMinute: 2})
		s := NewRefusalCache()
		over := &limits.Error{Limit: limits.Requests, Quota: limits.Quota{Requests: limits.Allowance{Reset: time.Minute}}}
		for i := range maxRefusals + 10 {
			s.add(fmt.Sprint(i), l, time.Now(), over)
		}
		if len(s.tenants) != maxRefusals {
			t.Errorf("%d tenants are remembered, want %d", len(s.tenants), maxRefusals)
		}
		time.Sleep(30 * time.Second) //nolint:forbidigo // in a bubble
		s.add("late", l, time.Now(), over)
		if len(s.tenants) != 1 || s.refuse("late", l) == nil {
			t.Errorf("%d tenants are remembered when their time has come, want the late one", len(s.tenants))
		}
	})
}

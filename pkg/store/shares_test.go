package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/limits"
)

func TestSharesOfAStatement(t *testing.T) {
	t.Parallel()
	a, b := limits.Limits{Requests: limits.Rate{PerMinute: 1, Burst: 1}}, limits.Limits{InFlight: 3}
	all := []NewRequest{
		{Tenant: "a", Limits: a},
		{Tenant: "free"},
		{Tenant: "b", Limits: b},
		{Tenant: "a", Limits: limits.Limits{Requests: limits.Rate{PerMinute: 1, Burst: 1}, InFlight: 7}},
		{Tenant: "a"},
		{ID: uuid.New(), Tenant: "b", Limits: b},
	}
	limited, spots := shares(all)
	wantShares := []share{{"a", limits.Limits{Requests: limits.Rate{PerMinute: 1, Burst: 1}, InFlight: 7}}, {"b", b}}
	wantSpots := []spot{{0, 1}, {}, {1, 1}, {0, 2}, {}, {1, 2}}
	if diff := cmp.Diff(wantShares, limited, cmp.AllowUnexported(share{})); diff != "" {
		t.Errorf("shares differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantSpots, spots, cmp.AllowUnexported(spot{})); diff != "" {
		t.Errorf("spots differ (-want +got):\n%s", diff)
	}
}

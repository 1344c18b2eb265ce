package admission

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/limits"
)

func TestBacklogCountsOnceASecond(t *testing.T) {
	t.Parallel()
	counts := 0
	b := &backlog{most: 3, count: func(context.Context, int) (int, error) { counts++; return 1, nil }}
	var refused int
	for range 5 {
		if b.admit(t.Context()) != nil {
			refused++
		}
	}
	if counts != 1 || refused != 3 {
		t.Errorf("5 requests on a queue of 1 of 3: %d counts, %d refused; want 1, 3", counts, refused)
	}
}

func TestTraceOf(t *testing.T) {
	t.Parallel()
	const good = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	for trace, want := range map[string]string{
		good: good, "": "", good[1:]: "", strings.ToUpper(good): "", strings.Replace(good, "-", "_", 1): "", good[:54] + "-": "",
	} {
		if got := TraceOf(http.Header{"Traceparent": {trace}}); got != want {
			t.Errorf("TraceOf(%q) = %q, want %q", trace, got, want)
		}
	}
}

func TestServiceTierIsTheQueuesTier(t *testing.T) {
	t.Parallel()
	for service, want := range map[string]int{"": tierDefault, "auto": tierDefault, "priority": tierPriority, "flex": tierFlex} {
		if got := TierOf(service); got != want {
			t.Errorf("TierOf(%q) = %d, want %d", service, got, want)
		}
	}
}

func TestQuotaHeadersAreOpenAIs(t *testing.T) {
	t.Parallel()
	l := limitsOf(registry.Tenant{RequestsPerMinute: 60, TokensPerMinute: 150_000})
	q := limits.Quota{
		Requests: limits.Allowance{Remaining: 59, Reset: time.Second},
		Tokens:   limits.Allowance{Remaining: 149_984, Reset: 6*time.Minute + 500*time.Microsecond},
	}
	want := http.Header{
		"X-Ratelimit-Limit-Requests": {"60"}, "X-Ratelimit-Remaining-Requests": {"59"}, "X-Ratelimit-Reset-Requests": {"1s"},
		"X-Ratelimit-Limit-Tokens": {"150000"}, "X-Ratelimit-Remaining-Tokens": {"149984"}, "X-Ratelimit-Reset-Tokens": {"6m0.001s"},
	}
	if diff := cmp.Diff(want, quotaHeaders(l, q)); diff != "" {
		t.Errorf("headers differ (-want +got):\n%s", diff)
	}
	if got := quotaHeaders(limits.Limits{InFlight: 1}, limits.Quota{InFlight: 1}); len(got) != 0 {
		t.Errorf("without rates the headers are %v, want none", got)
	}
}

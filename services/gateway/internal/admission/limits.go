package admission

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// limitsOf are a tenant's limits as the store keeps them.
func limitsOf(t registry.Tenant) limits.Limits {
	rate := func(perMinute int) limits.Rate { return limits.Rate{PerMinute: perMinute, Burst: perMinute} }
	return limits.Limits{Requests: rate(t.RequestsPerMinute), Tokens: rate(t.TokensPerMinute), InFlight: t.InFlight}
}

// quotaHeaders are OpenAI's headers about the limits that there are.
func quotaHeaders(l limits.Limits, q limits.Quota) http.Header {
	h := http.Header{}
	tell := func(what string, rate limits.Rate, left limits.Allowance) {
		if rate.PerMinute == 0 {
			return
		}
		h.Set("X-Ratelimit-Limit-"+what, strconv.Itoa(rate.PerMinute))
		h.Set("X-Ratelimit-Remaining-"+what, strconv.Itoa(left.Remaining))
		h.Set("X-Ratelimit-Reset-"+what, wholeMillis(left.Reset).String())
	}
	tell("Requests", l.Requests, q.Requests)
	tell("Tokens", l.Tokens, q.Tokens)
	return h
}

// overLimit refuses what goes over a limit of its tenant, in OpenAI's words:
// there are clients that read the time out of them.
func overLimit(tenant string, l limits.Limits, e *limits.Error) *fault.Error {
	after := wholeMillis(e.After)
	var what string
	switch e.Limit {
	case limits.Requests:
		what = fmt.Sprintf("requests per min (RPM): Limit %d", l.Requests.PerMinute)
	case limits.Tokens:
		what = fmt.Sprintf("tokens per min (TPM): Limit %d", l.Tokens.PerMinute)
	case limits.InFlight:
		after = httpapi.RetryAfter
		what = fmt.Sprintf("requests that are queued or in progress: Limit %d", l.InFlight)
	}
	return fault.RateLimited(
		fmt.Sprintf("Rate limit reached for tenant %s on %s. Please try again in %ss.", tenant, what, seconds(after)),
		after,
	)
}

// seconds is a time without a unit: 65.5, and not 1m5.5s.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// wholeMillis rounds up, so that a retry after that time is not too early.
func wholeMillis(d time.Duration) time.Duration {
	return time.Duration(math.Ceil(float64(d)/float64(time.Millisecond))) * time.Millisecond
}

package apierror

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MaxWait bounds how long an upstream can make a call wait.
const MaxWait = 24 * time.Hour

// ParseWait reads a number of units, or a duration with units: 1.5, 20s, 350ms,
// 6m0s. Anything else, and negative values, are 0.
func ParseWait(value string, unit time.Duration) time.Duration {
	value = strings.ToLower(strings.TrimSpace(value))
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		if !(n > 0) { // NaN as well
			return 0
		}
		return time.Duration(math.Ceil(min(n*float64(unit), float64(MaxWait))))
	}
	if days, rest, ok := strings.Cut(value, "d"); ok { // OpenAI counts days, too
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 1000 {
			return min(time.Duration(n)*24*time.Hour+ParseWait(rest, unit), MaxWait)
		}
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0
	}
	return min(d, MaxWait)
}

// Wait returns how long the headers of an answer ask to wait before the next
// attempt. Dates count from the answer's own Date, if it has one, so that a
// clock that differs from the upstream's does not change the wait.
func Wait(h http.Header, status int, now time.Time) time.Duration {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	var wait time.Duration
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		wait = max(wait, ParseWait(h.Get(name), time.Millisecond))
	}
	if value := h.Get("Retry-After"); value != "" {
		wait = max(wait, ParseWait(value, time.Second), timeUntil(value, now))
	}
	if wait == 0 && status == http.StatusTooManyRequests {
		wait = waitForReset(h, now)
	}
	return wait
}

// timeUntil returns the time from now to a date; 0 if the text is no date or
// the date has passed. A date has whole seconds, so that the wait is rounded up
// and never ends early.
func timeUntil(value string, now time.Time) time.Duration {
	at, err := http.ParseTime(value)
	if err != nil {
		at, err = time.Parse(time.RFC3339, value)
	}
	if err != nil || !at.After(now) {
		return 0
	}
	return min(at.Sub(now), MaxWait)
}

// waitForReset reads when a limit resets from the rate limit headers. Limits
// that are not used up are not the reason of this refusal.
func waitForReset(h http.Header, now time.Time) time.Duration {
	var wait time.Duration
	for name, values := range h {
		name = strings.ToLower(name)
		if !strings.Contains(name, "ratelimit") || !strings.Contains(name, "reset") || len(values) == 0 {
			continue
		}
		left := h.Get(strings.Replace(name, "reset", "remaining", 1))
		if n, err := strconv.ParseFloat(left, 64); err == nil && n > 0 || err != nil && !isOnlyReset(name) {
			continue
		}
		wait = max(wait, parseReset(values[0], now))
	}
	return wait
}

// isOnlyReset reports whether a header is of a server that has only one limit.
func isOnlyReset(name string) bool {
	return name == "x-ratelimit-reset" || name == "ratelimit-reset" || name == "x-rate-limit-reset"
}

// parseReset reads a duration, a date, or a time in seconds or milliseconds
// since 1970.
func parseReset(value string, now time.Time) time.Duration {
	n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	switch {
	case err == nil && n > 1e11:
		return max(0, min(time.UnixMilli(int64(min(n, 1e15))).Sub(now), MaxWait))
	case err == nil && n > 1e9:
		return max(0, min(time.Unix(int64(n), 0).Sub(now), MaxWait))
	}
	return max(ParseWait(value, time.Second), timeUntil(value, now))
}

// retryHint finds what a message says about the next attempt: "Please try again
// in 6.5s", "retry after 20 seconds", "Please retry in 1m30.5s".
var retryHint = regexp.MustCompile(
	`(?i)\b(?:(?:try|retry)(?:ing)?(?: your request)?(?: again)?|again|wait)` +
		`(?: in| after| for)?:? (?:at least |about )?` +
		`((?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?[0-9]+(?:\.[0-9]+)?)` +
		` ?(milliseconds?|millis|ms|seconds?|secs?|minutes?|mins?|hours?|s|m|h)\b`)

func waitInText(message string) time.Duration {
	found := retryHint.FindStringSubmatch(message)
	if found == nil {
		return 0
	}
	unit := strings.ToLower(found[2])
	switch {
	case strings.HasPrefix(unit, "mil"), unit == "ms":
		unit = "ms"
	default:
		unit = unit[:1]
	}
	return ParseWait(found[1]+unit, time.Second)
}

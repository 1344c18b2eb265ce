package fault

import (
	"fmt"
	"slices"

	"windlass.dev/windlass/services/mock/internal/exchange"
)

// AnyIndex is the index of a model call: faults match it whatever their index
// is.
const AnyIndex = -1

// Fault is one thing that goes wrong. The first fault of a list that matches
// the round, the index and the attempt happens.
type Fault struct {
	Round int `json:"round" help:"model round from 0; -1 for any"`
	Index int `json:"index" help:"tool call in the round from 0; -1 for any; not for models"`
	Times int `json:"times,omitempty" help:"first attempts that fail" default:"0, all of them"`

	Status     int    `json:"status,omitempty" help:"HTTP status" default:"500; 307 to redirect; 200 with a mode"`
	RetryAfter string `json:"retry_after,omitempty" help:"the header, verbatim"`

	Mode  string `json:"mode,omitempty" help:"how it fails; see below" default:"an API error"`
	Body  string `json:"body,omitempty" help:"instead of what the mode would send"`
	Bytes int    `json:"bytes,omitempty" help:"size or rate for the modes that have one"`
}

// Check reports the first field with an impossible value.
func (f Fault) Check() error {
	if !slices.ContainsFunc(modes, func(m Mode) bool { return m.Name == f.Mode }) {
		return fmt.Errorf("plan's fault mode %q is unknown", f.Mode)
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return fmt.Errorf("plan's fault status is %d, want 200 to 599", f.Status)
	}
	if f.Times < 0 || f.Bytes < -1 {
		return fmt.Errorf("plan's fault has times %d and bytes %d, want 0 or more", f.Times, f.Bytes)
	}
	return nil
}

// Covers reports whether the fault applies to a call at this place.
func (f Fault) Covers(round, index int) bool {
	return (f.Round == -1 || f.Round == round) && (index == AnyIndex || f.Index == -1 || f.Index == index)
}

// First returns the first fault for an attempt, nil if there is no such fault.
// Attempt 0 was not counted: only faults of all attempts apply to it, so that
// no fault lasts longer than its Times.
func First(faults []Fault, round, index, attempt int) *Fault {
	for i := range faults {
		f := &faults[i]
		if f.Covers(round, index) && (f.Times == 0 || (attempt > 0 && attempt <= f.Times)) {
			return f
		}
	}
	return nil
}

// Answer answers a call as the fault's mode does.
func (f Fault) Answer(x *exchange.Exchange, right exchange.Answer) {
	if f.RetryAfter != "" {
		x.Writer.Header().Set("Retry-After", f.RetryAfter)
	}
	f.mode().answer(f, x, right)
}

// Change returns how the fault changes a reply that stays well-formed: text to
// add, or a size in bytes to fill it up to, negative for endless. changes is
// false for all other modes: call Answer.
func (f Fault) Change() (add string, size int, changes bool) {
	m := f.mode()
	if m.size != 0 {
		size = f.bytesOr(m.size)
	}
	return m.add, size, m.answer == nil
}

func (f Fault) mode() Mode {
	i := slices.IndexFunc(modes, func(m Mode) bool { return m.Name == f.Mode })
	return modes[max(0, i)] // Check refuses unknown modes
}

// StatusOr returns the fault's status, or other if it has no status.
func (f Fault) StatusOr(other int) int {
	if f.Status != 0 {
		return f.Status
	}
	return other
}

func (f Fault) bytesOr(other int) int {
	if f.Bytes != 0 {
		return f.Bytes
	}
	return other
}

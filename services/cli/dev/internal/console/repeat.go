package console

import (
	"fmt"
	"time"
)

const (
	// window is how long lines of one kind are counted together.
	window = 10 * time.Second
	// stateWindow is how often a lasting state is printed.
	stateWindow = time.Minute
	// kinds bounds how many kinds of lines are counted at once.
	kinds = 256
)

// repeats counts lines of one kind that come too often. The zero value is
// ready.
type repeats struct {
	all map[string]*series
}

// series is the lines of one kind in one window.
type series struct {
	first  line
	since  time.Time
	shown  int
	hidden int
}

// add reports whether to print a line, and returns the counts to print before
// it.
func (r *repeats) add(l line, now time.Time) (before []line, shown bool) {
	if l.key == "" {
		return nil, true
	}
	before = r.endSeries(now)
	one := r.all[l.key]
	if one == nil {
		if r.all == nil || len(r.all) >= kinds { // more kinds than this are no repetition: start again
			before = append(before, r.endSeries(now.Add(stateWindow))...)
			r.all = map[string]*series{}
		}
		one = &series{first: l, since: now}
		r.all[l.key] = one
	}
	if one.shown < l.burst {
		one.shown++
		return before, true
	}
	one.hidden++
	return before, false
}

func (l line) window() time.Duration {
	if l.state {
		return stateWindow
	}
	return window
}

// forget ends a state, so that its next start is printed.
func (r *repeats) forget() {
	for key, one := range r.all {
		if one.first.state {
			delete(r.all, key)
		}
	}
}

// endSeries ends the all whose window is over, and returns their counts.
func (r *repeats) endSeries(now time.Time) []line {
	var lines []line
	for key, one := range r.all {
		if now.Sub(one.since) < one.first.window() {
			continue
		}
		delete(r.all, key)
		if one.hidden > 0 && !one.first.state {
			l := one.first
			l.id, l.hint = "", ""
			l.say = fmt.Sprintf("%d more in %d s: %s", one.hidden, int(window.Seconds()), l.say)
			lines = append(lines, l)
		}
	}
	return lines
}

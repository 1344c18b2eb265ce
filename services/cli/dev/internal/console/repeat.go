package console

import (
	"fmt"
	"time"
)

const (
	// window is how long lines of one kind are counted together.
	window = 10 * time.Second
	// stateWindow is how often a state that lasts is printed.
	stateWindow = time.Minute
	// kinds bounds how many kinds of lines are counted at once.
	kinds = 256
)

// repeats counts lines of one kind that come too often. The zero value is ready.
type repeats struct {
	runs map[string]*run
}

// run is the lines of one kind in one window.
type run struct {
	first  line
	since  time.Time
	shown  int
	hidden int
}

// add says whether a line is to be printed, and which counts before it.
func (r *repeats) add(l line, now time.Time) (before []line, shown bool) {
	if l.key == "" {
		return nil, true
	}
	before = r.over(now)
	one := r.runs[l.key]
	if one == nil {
		if r.runs == nil || len(r.runs) >= kinds { // so many kinds are no repetition: count anew
			before = append(before, r.over(now.Add(stateWindow))...)
			r.runs = map[string]*run{}
		}
		one = &run{first: l, since: now}
		r.runs[l.key] = one
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

// forget ends a state, so that it is printed when it begins again.
func (r *repeats) forget() {
	for key, one := range r.runs {
		if one.first.state {
			delete(r.runs, key)
		}
	}
}

// over ends the runs whose window is over, and returns what is to be said of them.
func (r *repeats) over(now time.Time) []line {
	var lines []line
	for key, one := range r.runs {
		if now.Sub(one.since) < one.first.window() {
			continue
		}
		delete(r.runs, key)
		if one.hidden > 0 && !one.first.state {
			l := one.first
			l.id, l.hint = "", ""
			l.say = fmt.Sprintf("%d more in %d s: %s", one.hidden, int(window.Seconds()), l.say)
			lines = append(lines, l)
		}
	}
	return lines
}

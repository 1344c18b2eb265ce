// Package failpoint kills the process at a named instruction, so that a test
// can prove what survives a crash exactly there.
//
// It promises that a process armed with a name dies with status 137 the n-th
// time it reaches that name, with no deferred call, flush or hand-back run, and
// that an unarmed process pays one atomic load. It does not promise anything
// about other goroutines: they may be anywhere when the process dies.
//
// The armed name is process-wide state, the only one of its kind here: what it
// does, dying, is process-wide too.
package failpoint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// ErrUnknown says that a failpoint was named that is not in All.
var ErrUnknown = errors.New("unknown failpoint")

// exitStatus is what a shell reports for a process ended by SIGKILL.
const exitStatus = 137

// point is an armed failpoint: the process dies when left falls to zero, or at
// every hit whose data contain text if text is set.
type point struct {
	name Name
	text []byte
	left atomic.Int64
}

var (
	armed atomic.Pointer[point]
	die   = func() { os.Exit(exitStatus) } // replaced by tests
)

// Arm makes the process die at spec: "name", "name:n" for the n-th hit, or
// "name=text" for every hit by work whose data contain the text, as a step does
// that ends each of its workers. An empty spec disarms. It is called once,
// before anything that can hit. Errors are Check's.
func Arm(spec string) error {
	p, err := parse(spec)
	if err != nil {
		return err
	}
	armed.Store(p)
	return nil
}

// Check says whether Arm would accept spec, without arming it. The error names
// every failpoint there is when spec names none of them (ErrUnknown).
func Check(spec string) error {
	_, err := parse(spec)
	return err
}

// Hit marks the instruction called name. It returns at once unless the process
// is armed with that name. Safe for concurrent use.
func Hit(name Name) {
	if p := armed.Load(); p != nil {
		p.hit(name)
	}
}

// HitBy is Hit by work that its data identifies.
func HitBy(name Name, data []byte) {
	p := armed.Load()
	switch {
	case p == nil:
	case p.text == nil:
		p.hit(name)
	case p.name == name && bytes.Contains(data, p.text):
		die()
	}
}

func (p *point) hit(name Name) {
	// Counting down to exactly zero lets one goroutine of many die, once.
	if p.name == name && p.text == nil && p.left.Add(-1) == 0 {
		die()
	}
}

func parse(spec string) (*point, error) {
	if spec == "" {
		return nil, nil
	}
	spec, text, hasText := strings.Cut(spec, "=")
	if hasText && text == "" {
		return nil, fmt.Errorf("parse failpoint %q: no text follows the =", spec)
	}
	name, count, counted := strings.Cut(spec, ":")
	n := int64(1)
	if counted {
		var err error
		if n, err = strconv.ParseInt(count, 10, 64); err != nil || n < 1 {
			return nil, fmt.Errorf("parse failpoint %q: the hit %q is not a whole number from 1", spec, count)
		}
	}
	if !slices.Contains(All(), Name(name)) {
		return nil, fmt.Errorf("parse failpoint %q: %w, want one of %v", spec, ErrUnknown, All())
	}
	p := &point{name: Name(name)}
	if hasText {
		p.text = []byte(text)
	}
	p.left.Store(n)
	return p, nil
}

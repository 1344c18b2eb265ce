// Package startcheck checks at the start of `windlass dev` what is configured:
// the models' servers, their keys and names, and the tools' addresses.
//
// It promises that no tool is executed, that the checks take at most Within,
// and that a finding has no key. It does not promise that a call will work:
// what it cannot find out in time it does not report.
//
// Decision: a tool's address is connected to, and nothing is sent. Rejected:
// HEAD or OPTIONS, because a handler that ignores the method would run the
// tool.
package startcheck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/cli/dev/internal/console"
	toolrunner "windlass.dev/windlass/services/tool-runner"
)

const (
	// Within bounds all checks parallel.
	Within = 3 * time.Second
	// parallel bounds the checks that run at once.
	parallel = 16
)

// Finding is one thing that will not work.
type Finding struct {
	Model string // its name, or else Tool
	Tool  string
	What  string
	Hint  string // what to do
}

// Checker checks a registry. Safe for concurrent use.
type Checker struct {
	Advice console.Advisor
	HTTP   *http.Client
}

// Check checks the models and tools that skip does not name, in parallel. It
// returns the findings, models first, in the order of their names.
func (c Checker) Check(ctx context.Context, reg *registry.Registry, skip func(name string) bool) []Finding {
	ctx, cancel := context.WithTimeout(ctx, Within)
	defer cancel()
	var places []*[]Finding
	var all errgroup.Group
	all.SetLimit(parallel)
	start := func(name string, check func() []Finding) {
		if skip(name) {
			return
		}
		place := new([]Finding)
		places = append(places, place)
		all.Go(func() error { *place = check(); return nil })
	}
	lists := &lists{of: map[string]*list{}}
	for _, m := range reg.Models() {
		start(m.Name, func() []Finding { return c.checkModel(ctx, m, lists) })
	}
	for _, t := range reg.Tools() {
		start(t.Name, func() []Finding { return c.checkTool(ctx, t) })
	}
	_ = all.Wait() // the checks return no errors
	var findings []Finding
	for _, p := range places {
		findings = append(findings, *p...)
	}
	return findings
}

func (c Checker) checkTool(ctx context.Context, t registry.Tool) []Finding {
	err := toolrunner.CheckReachable(ctx, t)
	var why *toolrunner.Unreachable
	if !errors.As(err, &why) {
		return nil
	}
	hint := c.Advice.Tool(t, why.Code, 0)
	if why.Code == "timeout" {
		hint = fmt.Sprintf("is the server at %s running, and can this machine reach it?", console.Address(t.URL))
	}
	what, _, _ := strings.Cut(why.Message, ";") // the rest is advice
	return []Finding{{Tool: t.Name, What: what, Hint: hint}}
}

// lists caches the model list of each upstream.
type lists struct {
	mu sync.Mutex
	of map[string]*list
}

type list struct {
	once   sync.Once
	answer answer
}

func (l *lists) get(key string, ask func() answer) answer {
	l.mu.Lock()
	one := l.of[key]
	if one == nil {
		one = &list{}
		l.of[key] = one
	}
	l.mu.Unlock()
	one.once.Do(func() { one.answer = ask() })
	return one.answer
}

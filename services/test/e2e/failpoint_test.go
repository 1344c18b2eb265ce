//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/streamcheck"
)

const (
	// died is the exit status of an armed failpoint; a process that a signal
	// ended has -1.
	died = 137
	// scenarioRuns is the number of requests in each failpoint's process.
	scenarioRuns = 5
	deathLimit   = 20 * time.Second
)

// scenario makes one process reach one failpoint.
type scenario struct {
	service string
	plan    mock.Plan
	hit     int // the process dies at its n-th hit; 0 is the first
	// before runs between the submission of all runs and the arming. If nil,
	// runs are submitted after the arming.
	before func(s *stage)
	// idle waits until the gateway's reading of the lane is too old to admit
	// by: then the claimer admits the first request.
	idle     time.Duration
	streamed bool // the runs are streamed
	// cancel cancels a run after all are submitted and their first tools are
	// called.
	cancel bool
}

var (
	short = mock.Plan{
		Rounds: 2, Width: 3, ThinkMS: 20, ToolMS: 20, ToolFaults: []mock.Fault{{Round: 1, Index: 1, Times: 1, Status: 503}},
	}
	// slow has tools that outlast a row's check, so that the sweep finds the
	// row overdue.
	slow = mock.Plan{Rounds: 1, Width: 2, ToolMS: 5500}
	// thoughtful has model calls that are open when their orchestrator dies.
	thoughtful = mock.Plan{Rounds: 1, Width: 2, ThinkMS: 2000, ToolMS: 20}
	// flaky has a model that fails once in each turn.
	flaky = mock.Plan{Rounds: 1, Width: 2, ModelFaults: []mock.Fault{{Round: -1, Times: 1, Status: 503}}}
	// unhurried is waiting for its tools when it is cancelled.
	unhurried = mock.Plan{Rounds: 2, Width: 2, ToolMS: 1500}
)

var scenarios = map[failpoint.Name]scenario{
	failpoint.AcceptBeforeCommit:  {service: "gateway", plan: short, hit: 2},
	failpoint.AcceptAfterCommit:   {service: "gateway", plan: short, hit: 2},
	failpoint.ClaimAfterCommit:    {service: "claimer", plan: short, idle: 2 * time.Second},
	failpoint.TurnAfterTake:       {service: "loop-orchestrator", plan: short, hit: 3},
	failpoint.TurnAfterModel:      {service: "loop-orchestrator", plan: short, hit: 3},
	failpoint.TurnAfterCommit:     {service: "loop-orchestrator", plan: short, hit: 3},
	failpoint.TurnAfterPublish:    {service: "loop-orchestrator", plan: short, hit: 3},
	failpoint.RaiseAfterCommit:    {service: "loop-orchestrator", plan: thoughtful, before: leaveTurnsBehind},
	failpoint.ToolBeforeCall:      {service: "tool-runner", plan: short, hit: 4},
	failpoint.ToolAfterCall:       {service: "tool-runner", plan: short, hit: 4},
	failpoint.ToolAfterPublish:    {service: "tool-runner", plan: short, hit: 4},
	failpoint.ResultsAfterCommit:  {service: "loop-orchestrator", plan: short, hit: 2},
	failpoint.ResultsAfterPublish: {service: "loop-orchestrator", plan: short, hit: 2},
	failpoint.FinalBeforeCommit:   {service: "finalizer", plan: short, hit: 2},
	failpoint.FinalAfterCommit:    {service: "finalizer", plan: short, hit: 2},
	failpoint.FinalAfterPublish:   {service: "finalizer", plan: short, hit: 2},
	failpoint.FinalAfterLast:      {service: "finalizer", plan: short, hit: 2, streamed: true},
	failpoint.FinalAfterArchive:   {service: "finalizer", plan: short, hit: 2, streamed: true},
	failpoint.CancelAfterCommit:   {service: "gateway", plan: unhurried, cancel: true},
	failpoint.SweepAfterPublish:   {service: "claimer", plan: slow},
	failpoint.RetryAfterCommit:    {service: "loop-orchestrator", plan: flaky},
}

func TestEveryFailpointHasAScenario(t *testing.T) {
	t.Parallel()
	for _, name := range failpoint.All() {
		if _, ok := scenarios[name]; !ok {
			t.Errorf("failpoint %s has no scenario", name)
		}
	}
	for name := range scenarios {
		if !slices.Contains(failpoint.All(), name) {
			t.Errorf("there is a scenario for %s, which is no failpoint", name)
		}
	}
}

// TestFailpoints has a process die at every failpoint, and checks that
// everything completes.
func TestFailpoints(t *testing.T) {
	t.Parallel()
	alone(t)
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
	worst, tested := time.Duration(0), 0
	for i, name := range failpoint.All() {
		s := &stage{t: t, w: w, l: newLoad(w), first: int64(i) * 1000, name: name, scenario: scenarios[name]}
		s.l.seed, s.l.streamed = s.first, s.streamed
		took := s.play()
		worst = max(worst, took)
		tested++
		if t.Failed() {
			t.Fatalf("stopped at failpoint %s", name)
		}
	}
	t.Logf("%d failpoints, each hit and survived, slowest from restart to the last answer %.2f s", tested, worst.Seconds())
}

// stage runs one scenario.
type stage struct {
	scenario
	t     *testing.T
	w     *world
	l     *load
	first int64 // the stage's seeds are above this one
	name  failpoint.Name
}

func leaveTurnsBehind(s *stage) {
	s.await("open model calls", func() bool { return OpenAt("model", time.Now(), 0, s.calls()) == scenarioRuns })
}

// play arms the process, waits for its death, restarts it and checks all runs.
// It returns the time from the restart to the last end.
func (s *stage) play() time.Duration {
	t, w := s.t, s.w
	ctx, cancel := context.WithCancel(t.Context())
	submitted := make(chan error, 1)
	submit := func() { submitted <- s.submit(ctx) }
	polled := make(chan struct{})
	go func() { s.l.poll(ctx); close(polled) }()
	defer func() { cancel(); <-polled }()

	if s.before != nil {
		submit()
		s.before(s)
	}
	w.services[s.service].kill(t)
	armed := w.services[s.service].start(t, env("FAILPOINT", fmt.Sprintf("%s:%d", s.name, max(s.hit, 1))))
	if s.before == nil {
		w.services[s.service].awaitReady(t) // or dead: another scenario's work may reach the failpoint
		pause(ctx, s.idle)
		go submit()
	}
	var cancelled *Run
	if s.cancel {
		cancelled = s.cancelOne(ctx)
	}
	if code := armed.awaitEnd(t, s.service); code != died {
		t.Fatalf("%s: %s ended with %d, want %d: it did not die at the failpoint", s.name, s.service, code, died)
	}
	w.restart(s.service)
	back := time.Now()
	if err := <-submitted; err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	s.l.settle(t, deathLimit)
	took := time.Since(back)
	if cancelled != nil {
		s.checkCancelled(cancelled)
	}
	s.l.check(t)
	if s.streamed {
		s.checkStreams()
	}
	s.checkUnanswered()
	t.Logf("%s: %s died and was back, all ended %.2f s later", s.name, s.service, took.Seconds())
	return took
}

func (s *stage) submit(ctx context.Context) error {
	for range scenarioRuns {
		if _, err := s.l.submit(ctx, s.plan); err != nil {
			return err
		}
	}
	return nil
}

// cancelOne cancels a run in the gateway that dies from it: the client gets no
// answer.
func (s *stage) cancelOne(ctx context.Context) *Run {
	s.await("tool calls of all runs", func() bool {
		return OpenAt("tool", time.Now(), 0, s.calls()) == scenarioRuns*s.plan.Width
	})
	s.l.mu.Lock()
	r := s.l.runs[2]
	s.l.mu.Unlock()
	if o, err := s.w.api.cancel(ctx, r.ID); err == nil {
		s.t.Errorf("%s: the cancel was answered with %q", s.name, o.Status)
	}
	return r
}

// checkStreams reads the events of all runs and checks that each has one end.
func (s *stage) checkStreams() {
	for _, r := range s.l.runs {
		read := &reader{id: r.ID}
		if err := s.w.api.open(s.t.Context(), http.MethodGet, "/v1/responses/"+r.ID+"?stream=true", nil, read); err != nil {
			s.t.Errorf("%s: stream of %s: %v", s.name, r.ID, err)
		}
		for _, v := range streamcheck.Check(read.events) {
			s.t.Errorf("%s: stream of %s: %s", s.name, r.ID, v)
		}
	}
}

// checkCancelled checks that the cancel is committed, and removes its run from
// those that must be completed.
func (s *stage) checkCancelled(r *Run) {
	if r.Object.Status != "cancelled" {
		s.t.Errorf("%s: run %s is %q, want cancelled", s.name, r.ID, r.Object.Status)
	}
	for _, e := range Index(s.w.mock.Ledger())[r.Plan.Seed] {
		if e.Kind == "model" && e.Round > 0 {
			s.t.Errorf("%s: turn %d of the cancelled run %s was begun", s.name, e.Round+1, r.ID)
		}
	}
	s.l.runs = slices.DeleteFunc(s.l.runs, func(other *Run) bool { return other == r })
}

// checkUnanswered checks the requests whose client got no answer: a stored one
// runs to its end, another one does not run.
func (s *stage) checkUnanswered() {
	known := make(map[int64]bool)
	for _, r := range s.l.runs {
		known[r.Plan.Seed] = true
	}
	ran := func(e mock.Entry) bool { return !known[e.Seed] }
	switch s.name {
	case failpoint.AcceptAfterCommit:
		s.await("end of the run without an answer", func() bool {
			return slices.ContainsFunc(s.calls(), func(e mock.Entry) bool {
				return ran(e) && e.Kind == "model" && e.Round == s.plan.Rounds && e.Status == 200
			})
		})
	case failpoint.AcceptBeforeCommit:
		if slices.ContainsFunc(s.calls(), ran) {
			s.t.Errorf("%s: a request that was not stored ran", s.name)
		}
	}
}

// calls returns the ledger's entries of this stage.
func (s *stage) calls() []mock.Entry {
	return slices.DeleteFunc(s.w.mock.Ledger(), func(e mock.Entry) bool { return e.Seed/1000 != s.first/1000 })
}

func (s *stage) await(what string, done func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), deathLimit)
	defer cancel()
	if !until(ctx, 20*time.Millisecond, done) {
		s.t.Fatalf("%s: no %s in %s", s.name, what, deathLimit)
	}
}

package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

// modelStep and modelRow are what the rows of one request should say.
type modelStep struct {
	Turn, Index, Attempt int
	State                run.StepState
}

type modelRow struct {
	Status                        run.Status
	Stage                         run.Stage
	Live                          bool
	Epoch, Turn, Attempt, Pending int
	Failures, Crashes             int
	Outcome                       run.Status
	Steps                         []modelStep
}

func (m *modelRow) holds(f run.Fence) bool {
	return m.Status == run.InProgress && m.Stage == run.StageModel && f.Epoch == m.Epoch && f.Turn == m.Turn && f.Attempt == m.Attempt
}

func (m *modelRow) openTurn(turn int) {
	m.Stage, m.Turn, m.Attempt, m.Failures, m.Crashes = run.StageModel, turn, 1, 0, 0
	m.Steps = append(m.Steps, modelStep{Turn: turn, Attempt: 1, State: run.StepDispatched})
}

// step finds a step; nil if absent.
func (m *modelRow) step(turn, index int) *modelStep {
	for i := range m.Steps {
		if m.Steps[i].Turn == turn && m.Steps[i].Index == index {
			return &m.Steps[i]
		}
	}
	return nil
}

// walk applies random operations to the store and to the model.
type walk struct {
	t       *testing.T
	s       *runtest.World
	r       *rand.Rand
	id      uuid.UUID
	overdue bool
	m       modelRow
	did     map[string]int // how often each operation was done, and refused
}

func (w *walk) begin() {
	w.overdue = w.r.IntN(3) == 0
	w.id = runtest.Accepted(w.t, w.s, func(n *store.NewRequest) {
		n.Lane = "lane-of-" + n.ID.String()
		if w.overdue {
			runtest.Overdue(n)
		}
	})
	w.m = modelRow{Status: run.Queued, Stage: run.StageModel}
}

// fence is the row's, or one that is off by one somewhere.
func (w *walk) fence() run.Fence {
	f := run.Fence{ID: w.id, Epoch: w.m.Epoch, Turn: w.m.Turn, Attempt: w.m.Attempt}
	if w.r.IntN(4) == 0 {
		part := []*int{&f.Epoch, &f.Turn, &f.Attempt}[w.r.IntN(3)]
		*part += 1 - 2*w.r.IntN(2)
	}
	return f
}

// check compares an operation's verdict with the model's.
func (w *walk) check(op string, err error, want bool) {
	w.t.Helper()
	if err != nil && !errors.Is(err, store.ErrStale) {
		w.t.Fatalf("%s: %v", op, err)
	}
	if (err == nil) != want {
		w.t.Fatalf("%s of %+v: %v, want it done: %v", op, w.m, err, want)
	}
	w.did[fmt.Sprintf("%s %v", op, want)]++
}

func (w *walk) claim() {
	rows, err := w.s.Claim(w.t.Context(), []store.Slots{{"lane-of-" + w.id.String(), 1}})
	if err == nil && len(rows) == 0 {
		err = store.ErrStale
	}
	ok := w.m.Status == run.Queued
	w.check("claim", err, ok)
	if ok {
		w.m.Status, w.m.Live, w.m.Epoch = run.InProgress, true, 1
		w.m.openTurn(1)
	}
}

func (w *walk) commitTurn() {
	c := run.TurnCommit{Fence: w.fence(), Steps: runtest.NewSteps(w.r.IntN(4)), Outcome: []run.Status{"", "", run.Completed, run.Failed}[w.r.IntN(4)]}
	for i := range c.Steps {
		if w.r.IntN(4) == 0 {
			c.Steps[i].Error = []byte("{}")
		}
	}
	ok := w.m.holds(c.Fence)
	_, err := w.s.CommitTurn(w.t.Context(), run.Row{ID: w.id}, c)
	w.check("commit turn", err, ok)
	if !ok {
		return
	}
	*w.m.step(w.m.Turn, 0) = modelStep{Turn: w.m.Turn, Attempt: w.m.Attempt, State: run.StepDone}
	due := 0
	for _, n := range c.Steps {
		st := modelStep{Turn: w.m.Turn, Index: n.Index, Attempt: 1, State: run.StepFailed}
		if n.Error == nil {
			st.State = run.StepDispatched
			due++
		}
		w.m.Steps = append(w.m.Steps, st)
	}
	w.m.Pending, w.m.Outcome, w.m.Attempt, w.m.Failures, w.m.Crashes = due, c.Outcome, 1, 0, 0
	switch {
	case due > 0:
		w.m.Stage = run.StageTools
	default:
		w.m.follow()
	}
}

// follow is what happens when nothing of the turn is pending.
func (m *modelRow) follow() {
	if m.Outcome != "" {
		m.Stage = run.StageSettle
		return
	}
	m.openTurn(m.Turn + 1)
}

func (w *walk) raise() {
	f, blame := w.fence(), run.Blame(w.r.IntN(3))
	ok := w.m.holds(f)
	_, err := w.s.Raise(w.t.Context(), f, blame, 0)
	w.check("raise", err, ok)
	if ok {
		w.m.Attempt++
		w.m.step(w.m.Turn, 0).Attempt = w.m.Attempt // the trail shows the attempt that is under way
		switch {
		case blame == run.Proven:
			w.m.Crashes = max(w.m.Crashes, run.SuspectCrashes) + 1
		case blame == run.Suspected && w.m.Crashes < run.SuspectCrashes:
			w.m.Crashes++
		}
	}
}

func (w *walk) retryTurn() {
	f := w.fence()
	ok := w.m.holds(f)
	_, err := w.s.RetryTurn(w.t.Context(), f, 0, "busy")
	w.check("retry turn", err, ok)
	if ok {
		w.m.Attempt++
		w.m.Failures++
		w.m.step(w.m.Turn, 0).Attempt = w.m.Attempt
	}
}

// commitResults sends a few results, some of them twice, some of another
// attempt, epoch or turn.
func (w *walk) commitResults() {
	calls := runtest.NewSteps(4)
	var all []store.ToolResult
	used := map[int]bool{}
	for range w.r.IntN(4) {
		n := calls[w.r.IntN(len(calls))]
		if used[n.Index] {
			continue
		}
		used[n.Index] = true
		o := store.ToolResult{ID: w.id, Epoch: w.m.Epoch, Turn: w.m.Turn, Index: n.Index, Attempt: 1, CallID: n.CallID, InputHash: n.InputHash}
		if st := w.m.step(o.Turn, o.Index); st != nil {
			o.Attempt = st.Attempt
		}
		switch w.r.IntN(10) {
		case 0:
			o.Attempt--
		case 1:
			o.Epoch--
		case 2:
			o.Turn--
		case 3, 4:
			o.Retry = true
		case 5:
			o.Error = []byte("{}")
		}
		all = append(all, o, o)[:len(all)+1+w.r.IntN(2)]
	}
	rows, err := w.s.CommitResults(w.t.Context(), all)
	turned, moved := w.m.commitResults(all)
	if err == nil && len(rows) == 0 {
		err = store.ErrStale
	}
	w.check("commit results", err, moved)
	if turned > 0 {
		w.did["a result turned its step"]++
	}
}

func (m *modelRow) commitResults(all []store.ToolResult) (turned int, moved bool) {
	if m.Status != run.InProgress || m.Stage != run.StageTools {
		return 0, false
	}
	seen := map[int]bool{} // one group turns a step once
	for _, o := range all {
		st := m.step(o.Turn, o.Index)
		if o.Epoch != m.Epoch || o.Turn != m.Turn || st == nil || st.State != run.StepDispatched || st.Attempt != o.Attempt || seen[o.Index] {
			continue
		}
		seen[o.Index] = true
		turned++
		switch {
		case o.Retry:
			st.Attempt++
			continue
		case o.Error != nil:
			st.State = run.StepFailed
		default:
			st.State = run.StepDone
		}
		m.Pending--
	}
	if m.Pending == 0 {
		m.follow()
		return turned, true
	}
	return turned, false
}

func (w *walk) settle() {
	o := store.Settlement{ID: w.id, Tenant: runtest.Tenant, Epoch: w.m.Epoch, AfterWork: w.r.IntN(2) == 0, Status: run.Completed}
	if w.r.IntN(4) == 0 {
		o.Status = []run.Status{run.Failed, run.Incomplete, run.Cancelled, run.Expired}[w.r.IntN(4)]
	}
	open := w.m.Status == run.Queued || w.m.Status == run.InProgress
	var ok bool
	switch o.Status {
	case run.Cancelled:
		ok = open
	case run.Expired:
		ok = open && w.overdue && (w.m.Status == run.Queued || w.m.Stage != run.StageSettle)
	default:
		ok = w.m.Status == run.InProgress && w.m.Stage == run.StageSettle && (o.Status == w.m.Outcome || o.Status == run.Failed)
	}
	w.check("settle as "+string(o.Status), w.s.Settle(w.t.Context(), o), ok)
	if ok {
		w.m.Status, w.m.Live, w.m.Pending = o.Status, o.AfterWork, 0
	}
}

func (w *walk) finish() {
	if err := w.s.Finish(w.t.Context(), w.id); err != nil {
		w.t.Fatal(err)
	}
	if w.m.Status.Terminal() {
		w.m.Live = false
	}
}

func (w *walk) sweep() {
	alarm(w.t, w.s)
	if err := w.s.Postpone(w.t.Context(), overdueRows(w.t, w.s)); err != nil {
		w.t.Fatal(err)
	}
}

// compare reads the request and holds it against the model and against what is
// always true.
func (w *walk) compare() {
	w.t.Helper()
	r := runtest.Look(w.t, w.s, w.id)
	all := runtest.Steps(w.t, w.s, w.id)
	got := modelRow{
		Status: r.Status, Stage: r.Stage, Live: r.Live, Epoch: r.Epoch, Turn: r.Turn, Attempt: r.Attempt, Pending: r.Pending,
		Failures: r.Failures, Crashes: r.Crashes, Outcome: r.Outcome,
		Steps: postgres.Column(all, func(st run.Step) modelStep { return modelStep{st.Turn, st.Index, st.Attempt, st.State} }),
	}
	if diff := cmp.Diff(w.m, got, asRead); diff != "" {
		w.t.Fatalf("the row differs from the model (-model +row):\n%s", diff)
	}
	if r.Status == run.InProgress && r.Stage == run.StageTools && r.Pending != len(r.Steps) {
		w.t.Fatalf("%d pending, but %d open steps", r.Pending, len(r.Steps))
	}
	turn, index := 0, 0
	for _, st := range all {
		if index++; st.Turn != turn {
			turn, index = turn+1, 0
		}
		if st.Turn != turn || st.Index != index {
			w.t.Fatalf("step %d.%d follows where %d.%d is due", st.Turn, st.Index, turn, index)
		}
	}
}

func TestRandomWalkAgreesWithTheModel(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]uint64{"known seed": 1, "new seed": rand.Uint64()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &walk{t: t, s: runtest.Open(t), r: rand.New(rand.NewPCG(seed, 0)), did: make(map[string]int)}
			w.go2000()
			t.Logf("seed %d, done (true) and refused: %v", seed, w.did)
			for _, op := range []string{
				"claim true", "commit turn true", "commit turn false", "raise true", "raise false",
				"retry turn true", "retry turn false", "commit results true", "a result turned its step", "settle as completed true",
				"settle as failed true", "settle as cancelled true", "settle as expired true", "settle as completed false",
			} {
				if w.did[op] == 0 && seed == 1 {
					t.Errorf("the walk never did: %s", op)
				}
			}
		})
	}
}

// go2000 does that many operations, on one request after the other; every other
// one is one that the row waits for.
func (w *walk) go2000() {
	all := []func(){w.claim, w.commitTurn, w.commitResults, w.raise, w.retryTurn, w.settle, w.finish, w.sweep}
	fitting := map[run.Stage][]func(){
		run.StageModel:  {w.commitTurn, w.commitTurn, w.commitTurn, w.raise, w.retryTurn},
		run.StageTools:  {w.commitResults},
		run.StageSettle: {w.settle},
	}
	w.begin()
	for range 2000 {
		ops := all
		switch {
		case w.r.IntN(2) == 0:
		case w.m.Status == run.Queued:
			ops = []func(){w.claim}
		case w.m.Status == run.InProgress:
			ops = fitting[w.m.Stage]
		case w.r.IntN(2) == 0:
			w.begin()
		}
		ops[w.r.IntN(len(ops))]()
		w.compare()
	}
}

package behaviour

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/e2e"
	"windlass.dev/windlass/services/test/stack"
)

// dice are seeded random choices. It is safe for concurrent use.
type dice struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func newDice(tb testing.TB) *dice {
	tb.Helper()
	seed := uint64(time.Now().UnixNano() % 1e9)
	tb.Logf("seed %d", seed)
	return &dice{rnd: rand.New(rand.NewPCG(seed, 17))}
}

func (d *dice) intN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rnd.IntN(n)
}

// longForm reports whether the tests of deliveries take minutes instead of
// seconds.
func longForm() bool { return os.Getenv("WINDLASS_E2E_LONG") != "" } //nolint:forbidigo // a test's own switch

// TestF17EveryMessageIsDeliveredAgain loses the first acknowledgements of every
// message, so that the broker delivers each two or three times. Every run has
// its steps once, the usage of its calls, and no call twice; a cancelled one
// stays cancelled.
func TestF17EveryMessageIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	runs, d := 48, newDice(t)
	if longForm() {
		runs = 2000
	}
	lost := map[string]int{} // by message: acknowledgements that are still to be lost
	again := 0
	shim := &bustest.Shim{LoseAck: func(message string) bool {
		n := 1 + d.intN(2)
		d.mu.Lock()
		defer d.mu.Unlock()
		left, known := lost[message]
		if !known {
			left = n
		}
		if left > 0 {
			again++
		}
		lost[message] = left - 1
		return left > 0
	}}
	s := startBehind(t, shim)
	mixedRuns(t, s, d, runs)
	for i := range runs { // a lost acknowledgement costs no call
		seen := map[[2]int]bool{}
		for _, e := range s.Calls("tool", int64(i+1)) {
			if seen[[2]int{e.Round, e.Index}] {
				t.Errorf("run %d: the call %d/%d was made twice", i+1, e.Round, e.Index)
			}
			seen[[2]int{e.Round, e.Index}] = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if again < runs*8 {
		t.Errorf("%d acknowledgements were lost for %d runs: the shim does not work", again, runs)
	}
	t.Logf("%d runs, %d acknowledgements of %d messages lost", runs, again, len(lost))
}

// TestF18MessagesOvertakeEachOther holds messages back for longer than their
// lease, so that they come after those that followed them, and after their own
// redeliveries.
func TestF18MessagesOvertakeEachOther(t *testing.T) {
	t.Parallel()
	runs, most, d := 48, 6*time.Second, newDice(t)
	if longForm() {
		runs, most = 2000, 30*time.Second
	}
	held := 0
	shim := &bustest.Shim{HoldBack: func(subject string, stored bool) time.Duration {
		if isLive(subject) || d.intN(6) > 0 {
			return 0
		}
		limit := most
		if !stored { // a question that waits for longer is asked again
			limit = time.Second
		}
		wait := d.intN(int(limit))
		d.mu.Lock()
		defer d.mu.Unlock()
		held++
		return time.Duration(wait)
	}}
	s := startBehind(t, shim)
	mixedRuns(t, s, d, runs)
	d.mu.Lock()
	defer d.mu.Unlock()
	if held < runs/2 {
		t.Errorf("%d messages were held back for %d runs: the shim does not work", held, runs)
	}
	t.Logf("%d runs, %d messages held back for up to %v", runs, held, most)
}

// isLive reports whether a subject carries frames of a live stream, which core
// NATS delivers in order and once.
func isLive(subject string) bool { return strings.HasPrefix(subject, "windlass.tail.") }

// startBehind starts a stack whose services reach their broker by a shim.
func startBehind(tb testing.TB, shim *bustest.Shim) *stack.Stack {
	tb.Helper()
	return stack.StartOn(tb, func(c *bus.Config) {
		shim.Server = c.InProcess
		c.AckWait = 2 * time.Second
		c.InProcess = shim
	})
}

// mixedRuns makes runs with tools, streams and cancels, and checks each.
func mixedRuns(t *testing.T, s *stack.Stack, d *dice, n int) {
	t.Helper()
	slots := make(chan struct{}, 10)
	var all sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			plan := mock.Plan{Seed: int64(i + 1), Rounds: 1 + i%2, Width: 1 + i%3, ThinkMS: 20, ToolMS: 20}
			switch i % 6 {
			case 0:
				cancelled(t, s, plan, time.Duration(d.intN(int(300*time.Millisecond))))
			case 1:
				r := stack.Streamed(t, s.StreamOnce(t, plan))
				checkRun(t, s, r.ID, plan)
			default:
				r := s.Background(t, plan, nil)
				s.Wait(t, r.ID)
				checkRun(t, s, r.ID, plan)
			}
		})
	}
	all.Wait()
}

// cancelled cancels a run after a while. Its answer is final, and no call
// starts more than 2 s later.
func cancelled(t *testing.T, s *stack.Stack, plan mock.Plan, after time.Duration) {
	t.Helper()
	r := s.Background(t, plan, nil)
	<-time.After(after)
	answer := s.Cancel(t, r.ID)
	answered := time.Now()
	<-time.After(3 * time.Second)
	got := e2e.Run{ID: r.ID, Plan: plan}
	read(t, s, "/v1/responses/"+r.ID, &got.Object)
	calls := append(s.Calls("model", plan.Seed), s.Calls("tool", plan.Seed)...)
	if err := e2e.CheckCancelled(got, answer.Status, answered, 2*time.Second, calls); err != nil {
		t.Error(err)
	}
}

// checkRun runs the checker of the end-to-end tests on a completed run.
func checkRun(t *testing.T, s *stack.Stack, id string, plan mock.Plan) {
	t.Helper()
	r := e2e.Run{ID: id, Plan: plan}
	read(t, s, "/v1/responses/"+id, &r.Object)
	var steps struct{ Data []e2e.Step }
	read(t, s, "/v1/responses/"+id+"/steps", &steps)
	r.Steps = steps.Data
	if err := e2e.CheckCompleted(r, append(s.Calls("model", plan.Seed), s.Calls("tool", plan.Seed)...)); err != nil {
		t.Error(err)
	}
}

// read reads a resource; it repeats what a busy database refuses, as SDKs do.
func read(t *testing.T, s *stack.Stack, path string, into any) {
	t.Helper()
	var status int
	var text []byte
	for range 20 {
		if status, text = s.Do(t, http.MethodGet, path, nil); status != http.StatusServiceUnavailable {
			break
		}
		<-time.After(250 * time.Millisecond)
	}
	if err := json.Unmarshal(text, into); err != nil || status != http.StatusOK {
		t.Errorf("GET %s answered %d: %s", path, status, text)
	}
}

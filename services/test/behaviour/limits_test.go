package behaviour

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// load runs n plans of 3 rounds of 5 calls, atOnce in parallel, and fails the
// test unless each completes and each call was made once.
func load(t *testing.T, s *stack.Stack, first, n, atOnce int, change func(*mock.Plan)) {
	t.Helper()
	seeds := make(chan int64, n)
	for i := range n {
		seeds <- int64(first + i)
	}
	close(seeds)
	var wg sync.WaitGroup
	defer wg.Wait()
	for range atOnce {
		wg.Go(func() {
			for seed := range seeds {
				plan := mock.Plan{Seed: seed, Rounds: 3, Width: 5}
				if change != nil {
					change(&plan)
				}
				r := s.Wait(t, s.Background(t, plan, nil).ID)
				completed(t, r, plan.Answer())
				if calls := len(s.Calls("tool", seed)); calls != plan.Rounds*plan.Width {
					t.Errorf("run %d: %d calls, want %d", seed, calls, plan.Rounds*plan.Width)
				}
			}
		})
	}
}

// TestF35StepStreamAtItsLimit holds that a step stream that constantly drops
// its oldest events stops nothing: nothing is refused and no call repeated.
func TestF35StepStreamAtItsLimit(t *testing.T) {
	t.Parallel()
	s := stack.StartOn(t, func(c *bus.Config) { c.MaxBytes.Step = 512 << 10 })
	// 60 runs of 15 results of 2 kB are 1.8 MB; 8 runs have at most 80 kB that
	// is not committed.
	load(t, s, 35_000, 60, 8, func(p *mock.Plan) { p.ToolBytes = 2 << 10 })
	for _, line := range []string{"result kept", "stream is full, commands are left to the sweep"} {
		if n := s.Logs.FilterMessage(line).Len(); n != 0 {
			t.Errorf("%q was logged %d times, want never", line, n)
		}
	}
}

// TestF35WorkQueuesAtTheirLimit holds that commands that full queues refuse are
// published later: everything completes, and no call is repeated.
func TestF35WorkQueuesAtTheirLimit(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bus.MaxBytes){
		"turns":  func(m *bus.MaxBytes) { m.Turn = 2 << 10 },
		"tools":  func(m *bus.MaxBytes) { m.Tool = 8 << 10 },
		"finals": func(m *bus.MaxBytes) { m.Final = 1 << 10 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stack.StartOn(t, func(c *bus.Config) { change(&c.MaxBytes) })
			load(t, s, 36_000, 12, 12, func(p *mock.Plan) { p.Rounds, p.ToolMS = 1, 50 })
			full := s.Logs.FilterMessage("stream is full, commands are left to the sweep").Len()
			if name == "tools" && full == 0 {
				t.Error("the queue was never full: the test tries nothing")
			}
		})
	}
}

// TestF35MarksAtTheirLimit holds that an at_most_once call whose mark is
// refused is not made, that the model gets the reason, and that other tools
// continue.
func TestF35MarksAtTheirLimit(t *testing.T) {
	t.Parallel()
	s := stack.StartOn(t, func(c *bus.Config) { c.MaxBytes.Mark = 1 << 10 })
	plan := mock.Plan{Seed: 37_000, Rounds: 2, Width: 6, Tools: []string{"mock_once", "mock_echo"}}
	r := s.Ask(t, plan, nil)
	if r.Status != "completed" {
		t.Fatalf("response is %s\n%s", r.Status, excerpt(r.JSON))
	}
	made, refused := 0, 0
	for _, st := range s.Steps(t, r.ID) {
		switch {
		case st.Kind == "model":
		case st.State == "done":
			made++
		case st.Name == "mock_once" && code(st) == "mark_refused" && strings.Contains(fmt.Sprint(st.Output), "was not called"):
			refused++
		default:
			t.Errorf("step %d.%d of %s failed by %q", st.Turn, st.Index, st.Name, code(st))
		}
	}
	if calls := len(s.Calls("tool", plan.Seed)); calls != made || refused == 0 || made < 6 {
		t.Errorf("%d calls, %d done, %d refused; want the calls that were done, six of mock_echo among them, and some refused",
			calls, made, refused)
	}
}

// TestF35LiveFramesAtTheirLimit holds that a stream whose frames are dropped
// ends with an error, and that its response continues.
func TestF35LiveFramesAtTheirLimit(t *testing.T) {
	t.Parallel()
	s := stack.StartOn(t, func(c *bus.Config) { c.MaxBytes.Live = 16 << 10 })
	plan := mock.Plan{Seed: 38_000, Text: strings.Repeat("word ", 5_000), TokenRate: 20_000}
	r := s.Background(t, plan, stack.Fields{"stream_options": nil})
	completed(t, s.Wait(t, r.ID), plan.Answer())

	id := make(chan string, 1)
	raw := string(s.StreamFrom(t, mock.Plan{Seed: 38_001, Text: plan.Text, TokenRate: 20_000}, nil, id))
	if !strings.Contains(raw, "response.completed") && !strings.Contains(raw, "stream_lost") {
		t.Errorf("the stream ends with neither its response nor stream_lost:\n%s", raw[max(0, len(raw)-500):])
	}
	if got := s.Wait(t, <-id); got.Status != "completed" {
		t.Errorf("the response is %s\n%s", got.Status, excerpt(got.JSON))
	}
}

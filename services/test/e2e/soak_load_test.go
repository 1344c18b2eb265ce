//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/streamcheck"
)

const (
	// soakGap is the mean time between two requests of a soak, and soakOpen the
	// most of them at the same time.
	soakGap  = 80 * time.Millisecond
	soakOpen = 96
	// soakPatience bounds one request of a soak, over every fault.
	soakPatience = 90 * time.Second
)

// soak is the mixed load of a soak.
type soak struct {
	t    *testing.T
	w    *world
	l    *load
	rnd  *rand.Rand
	apis []*client // of both gateways

	mu       sync.Mutex
	count    map[string]int // requests by what became of them
	cancels  []*cancellation
	checking []*Run // ended, with their steps
}

func newSoak(t *testing.T, w *world, seed int64) *soak {
	t.Helper()
	w.addSecond(t)
	gateway := w.services["gateway"+second]
	other := newClient("http://" + gateway.variable("WINDLASS_LISTEN"))
	return &soak{
		t: t, w: w, l: newLoad(w), rnd: rand.New(rand.NewPCG(uint64(seed), 42)),
		apis: []*client{w.api, w.api, other}, count: map[string]int{},
	}
}

func (s *soak) String() string { return fmt.Sprintf("requests by their ends: %v", s.count) }

func (s *soak) add(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[what]++
}

// run makes requests of random kinds until ctx ends, and waits for them.
func (s *soak) run(ctx context.Context) {
	slots := make(chan struct{}, soakOpen)
	var all sync.WaitGroup
	for pause(ctx, time.Duration(s.rnd.Int64N(int64(2*soakGap)))) {
		slots <- struct{}{}
		kind, api, wait := s.rnd.IntN(16), s.apis[s.rnd.IntN(len(s.apis))], time.Duration(s.rnd.Int64N(int64(time.Second)))
		all.Go(func() {
			defer func() { <-slots }()
			one, stop := context.WithTimeout(context.WithoutCancel(ctx), soakPatience)
			defer stop()
			s.request(one, kind, api, wait)
		})
	}
	all.Wait()
}

func (s *soak) request(ctx context.Context, kind int, api *client, wait time.Duration) {
	p := mock.Plan{Seed: s.l.nextSeed(), ThinkMS: 30}
	tools := mock.Plan{Rounds: 2, Width: 2, ThinkMS: 30, ToolMS: 30, SlowEvery: 7, SlowMS: 700}
	switch {
	case kind < 4:
		s.single(ctx, api, p)
	case kind < 6:
		s.chat(ctx, api, p, kind == 4)
	case kind < 9:
		p.Tokens, p.TokenRate, p.Rounds, p.Width = 40, 40, kind%2, 2
		s.stream(ctx, api, p, kind == 8)
	case kind < 12:
		s.background(ctx, tools)
	case kind < 14:
		if c := s.l.submitAndCancelSurely(s.t, tools, wait); c != nil {
			s.add("cancel " + c.answer.Status)
			s.mu.Lock()
			s.cancels = append(s.cancels, c)
			s.mu.Unlock()
		}
	default:
		s.converse(ctx)
	}
}

// outcome counts a request whose client may see a fault.
func (s *soak) outcome(kind string, err error, right bool) {
	switch {
	case err != nil:
		s.add(kind + " met a fault")
	case !right:
		s.t.Errorf("a wrong answer to a %s", kind)
	default:
		s.add(kind)
	}
}

func (s *soak) single(ctx context.Context, api *client, p mock.Plan) {
	body, err := json.Marshal(map[string]any{"model": model, "input": p.Prompt()})
	if err != nil {
		s.t.Error(err)
		return
	}
	var o Object
	err = api.do(ctx, http.MethodPost, "/v1/responses", body, &o)
	if err == nil && o.Status != "completed" { // too many crashes or attempts
		err = fmt.Errorf("status %s", o.Status)
	}
	s.outcome("single", err, o.Text() == p.Answer())
}

func (s *soak) chat(ctx context.Context, api *client, p mock.Plan, stream bool) {
	end, err := api.chat(ctx, p, stream, func() {})
	if err == nil && (!end.done || end.failed != "" || end.status != http.StatusOK) {
		err = errors.New("cut by a fault")
	}
	s.outcome("chat", err, end.text == p.Answer())
}

func (s *soak) stream(ctx context.Context, api *client, p mock.Plan, background bool) {
	r, err := api.follow(ctx, model, p, background)
	if errors.Is(err, errGap) {
		s.t.Error(err)
	}
	right := true
	if err == nil {
		for _, v := range streamcheck.Check(r.events) {
			right = false
			s.t.Errorf("response %s, resumed %d times: %s; it ends with %q",
				r.id, r.breaks, v, r.events[max(0, len(r.events)-600):])
		}
	}
	s.outcome("stream", err, right)
}

func (s *soak) background(ctx context.Context, p mock.Plan) *Run {
	r, err := s.l.submit(ctx, p)
	s.outcome("background", err, true)
	return r
}

// converse has a conversation of three responses and deletes it.
func (s *soak) converse(ctx context.Context) {
	c := &talk{w: s.w}
	err := s.w.api.do(ctx, http.MethodPost, "/v1/conversations", []byte(`{}`), c)
	var id string
	for range 3 {
		if err != nil {
			break
		}
		p := mock.Plan{Seed: s.l.nextSeed(), ThinkMS: 30, Rounds: 1, Width: 1}
		if id, err = c.submit(ctx, p); err == nil {
			s.l.follow(id, p)
		}
	}
	s.outcome("conversation", err, true)
	if id != "" { // a response of a conversation that is deleted fails
		until(ctx, 200*time.Millisecond, func() bool {
			o, err := s.w.api.object(ctx, id)
			return err == nil && o.Terminal()
		})
	}
	if c.ID != "" {
		until(ctx, 500*time.Millisecond, func() bool {
			return s.w.api.do(ctx, http.MethodDelete, "/v1/conversations/"+c.ID, nil, &struct{}{}) == nil
		})
	}
}

// check checks runs soon after their ends, before they are purged, until ctx
// ends.
func (s *soak) check(ctx context.Context, every time.Duration) {
	last := time.Now()
	for pause(ctx, 200*time.Millisecond) {
		s.readEnded(ctx)
		if time.Since(last) > every {
			s.checkEnded(ctx)
			last = time.Now()
		}
	}
}

// readEnded reads the steps of runs that have ended, and takes them from the
// load. A cancelled run is checked by its cancel.
func (s *soak) readEnded(ctx context.Context) {
	s.l.mu.Lock()
	var ended []*Run
	s.l.runs = slices.DeleteFunc(s.l.runs, func(r *Run) bool {
		if r.Ended.IsZero() {
			return false
		}
		ended = append(ended, r)
		return true
	})
	s.l.mu.Unlock()
	for _, r := range ended {
		if r.Object.Status == "cancelled" {
			continue
		}
		s.l.readSteps(s.t, r)
		s.mu.Lock()
		s.checking = append(s.checking, r)
		s.mu.Unlock()
	}
}

func (s *soak) checkEnded(ctx context.Context) {
	s.readEnded(ctx)
	s.mu.Lock()
	runs, cancels := s.checking, s.cancels
	s.checking, s.cancels = nil, nil
	s.mu.Unlock()
	calls := Index(s.w.mock.Ledger())
	for _, r := range runs {
		if err := CheckCompleted(*r, calls[r.Plan.Seed]); err != nil {
			s.t.Error(err)
		}
		s.add("checked run")
	}
	for _, c := range cancels {
		if time.Since(c.answered) < startGrace+time.Second && ctx.Err() == nil {
			s.mu.Lock()
			s.cancels = append(s.cancels, c)
			s.mu.Unlock()
			continue
		}
		c.run.Object = c.answer
		if err := CheckCancelled(*c.run, c.answer.Status, c.answered, startGrace, calls[c.run.Plan.Seed]); err != nil {
			s.t.Error(err)
		}
		s.add("checked cancel")
	}
}

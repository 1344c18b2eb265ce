package looporchestrator

import (
	"context"
	"net/http"
	"testing"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/chain"
)

func embeds(body string) func(*store.NewRequest) {
	return func(n *store.NewRequest) { n.Endpoint, n.Body, n.Unstored = "embeddings", []byte(body), true }
}

// ended is the step of a request whose outcome is decided.
func (s *stand) ended(t *testing.T, row store.Row, outcome store.Status) store.Step {
	t.Helper()
	c, err := s.Store.Load(t.Context(), row.ID)
	if err != nil {
		t.Fatal(err)
	}
	if c.Stage != store.StageSettle || c.Outcome != outcome || len(c.Steps) != 1 {
		t.Fatalf("the request is %+v, want it decided as %s by one step", c, outcome)
	}
	return c.Steps[0]
}

func TestACallIsOneStep(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/embeddings" {
			t.Errorf("the upstream was called at %s", r.URL.Path)
		}
		_, _ = w.Write([]byte(`{"data":[{}],"model":"theirs","usage":{"prompt_tokens":3}}`))
	}
	row := s.claimed(t, embeds(`{"model":"m","input":"x"}`))
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	step := s.ended(t, row, store.Completed)
	if want := `{"data":[{}],"model":"m","usage":{"prompt_tokens":3}}`; string(step.Output) != want || step.InputTokens != 3 || s.calls.Load() != 1 {
		t.Errorf("the step has %s and %d tokens after %d calls, want %s", step.Output, step.InputTokens, s.calls.Load(), want)
	}
}

func TestCallsThatAreNotMade(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	for name, tt := range map[string]struct {
		change func(*store.NewRequest)
		code   string
	}{
		"a body that another version took": {embeds(`{"model":"m"}`), "invalid_prompt"},
		"a model that is gone": {func(n *store.NewRequest) {
			embeds(`{"model":"gone","input":"x"}`)(n)
			n.Model = "gone"
		}, "model_not_found"},
	} {
		row := s.claimed(t, tt.change)
		if err := s.deliver(t.Context(), row, 1, false); err != nil {
			t.Fatal(err)
		}
		if why := chain.ReadFailure(s.ended(t, row, store.Failed).Error); why.Code != tt.code || s.calls.Load() != 0 {
			t.Errorf("%s: failed by %+v after %d calls, want %s after none", name, why, s.calls.Load(), tt.code)
		}
	}
}

func TestADrainHandsACallOver(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	s.answer = func(_ http.ResponseWriter, r *http.Request) {
		cancel(bus.ErrDraining)
		<-r.Context().Done()
	}
	row := s.claimed(t, embeds(`{"model":"m","input":"x"}`))
	if err := s.deliver(ctx, row, 1, false); err != nil {
		t.Fatal(err)
	}
	if got := s.look(t, row.ID); got.Attempt != row.Attempt+1 || got.Crashes != 0 || s.waiting(t) != 1 {
		t.Errorf("attempt %d, %d crashes, %d commands; want one attempt more, no crash, one command", got.Attempt, got.Crashes, s.waiting(t))
	}
}

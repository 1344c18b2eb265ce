package looporchestrator

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/livestream"
)

func embeds(body string) func(*store.NewRequest) {
	return func(n *store.NewRequest) { n.Endpoint, n.Body, n.Unstored = "embeddings", []byte(body), true }
}

// ended is the step of a request whose outcome is decided.
func (s *stand) ended(t *testing.T, row run.Row, outcome run.Status) run.Step {
	t.Helper()
	c, err := s.Store.Load(t.Context(), row.ID)
	if err != nil {
		t.Fatal(err)
	}
	if c.Stage != run.StageSettle || c.Outcome != outcome || len(c.Steps) != 1 {
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
	step := s.ended(t, row, run.Completed)
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
		if why := run.ReadFailure(s.ended(t, row, run.Failed).Error); why.Code != tt.code || s.calls.Load() != 0 {
			t.Errorf("%s: failed by %+v after %d calls, want %s after none", name, why, s.calls.Load(), tt.code)
		}
	}
}

func TestADrainHandsACallOver(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	s.answer = func(_ http.ResponseWriter, r *http.Request) {
		cancel(consume.ErrDraining)
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

func chats(n *store.NewRequest) {
	n.Endpoint, n.Body, n.Unstored, n.Streamed = "chat/completions", []byte(`{"model":"m","messages":[{}],"stream":true}`), true, true
}

// streams answers every call with these events.
func (s *stand) streams(events ...string) {
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range events {
			_, _ = w.Write([]byte("data: " + e + "\n\n"))
		}
	}
}

// readChunks returns the chunks in the request's live stream, and whether they
// are all.
func (s *stand) readChunks(t *testing.T, row run.Row) (chunks []string, whole bool) {
	t.Helper()
	seq := livestream.Sequencer{Once: true}
	_, err := s.Bus.Stored(t.Context(), run.Hex(row.ID), func(m *stepv1.LiveFrames) error {
		events, err := seq.Take(m)
		for _, e := range events {
			chunks = append(chunks, e.Type+string(e.Data))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return chunks, seq.Whole()
}

func TestAStreamedCallTellsItsChunks(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.streams(`{"model":"theirs","choices":[{"index":0}]}`, `{"choices":[{"index":0,"finish_reason":"stop"}]}`,
		`{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`, `[DONE]`)
	row := s.claimed(t, chats)
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	step := s.ended(t, row, run.Completed)
	if string(step.Output) != `{"chunks":2}` || step.InputTokens != 3 || step.OutputTokens != 4 {
		t.Errorf("the step is %+v with %s, want two chunks and the usage", step, step.Output)
	}
	chunks, whole := s.readChunks(t, row)
	want := []string{`{"model":"m","choices":[{"index":0,"delta":{}}]}`, `{"choices":[{"index":0,"finish_reason":"stop","delta":{}}],"model":"m"}`}
	if diff := cmp.Diff(want, chunks); diff != "" || !whole {
		t.Errorf("whole: %v; the stream (-want +got):\n%s", whole, diff)
	}
}

func TestAStreamThatFails(t *testing.T) {
	t.Parallel()
	const chunk = `{"model":"m","choices":[{"index":0}]}`
	for name, tt := range map[string]struct {
		events []string
		sent   int
		parked bool
		code   string
	}{
		"before its first chunk":        {[]string{`{"error":{"message":"busy"}}`}, 0, true, "server_error"},
		"without a chunk":               {nil, 0, true, "connection_error"},
		"behind a chunk, by an error":   {[]string{chunk, `{"error":{"message":"busy"}}`}, 1, false, "server_error"},
		"behind a chunk, broken off":    {[]string{chunk}, 1, false, "connection_error"},
		"behind a chunk, by a bad word": {[]string{chunk, `{`}, 1, false, "server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.streams(tt.events...)
			row := s.claimed(t, chats)
			if err := s.deliver(t.Context(), row, 1, false); err != nil {
				t.Fatal(err)
			}
			if chunks, whole := s.readChunks(t, row); len(chunks) != tt.sent || whole {
				t.Errorf("whole: %v; the stream is %q, want %d chunks", whole, chunks, tt.sent)
			}
			if tt.parked {
				if got := s.look(t, row.ID); got.Stage != run.StageModel || got.Failures != 1 || got.Attempt != 2 {
					t.Errorf("the row is %+v, want it parked for another attempt", got)
				}
				return
			}
			if why := run.ReadFailure(s.ended(t, row, run.Failed).Error); why.Code != tt.code {
				t.Errorf("failed by %+v, want %s", why, tt.code)
			}
		})
	}
}

// No attempt can go on with the chunks of another.
func TestAnotherAttemptOfAStream(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]bool{"that sent something": true, "that sent nothing": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.streams(`{"model":"m","choices":[{"index":0,"finish_reason":"stop"}]}`, `[DONE]`)
			row := s.claimed(t, chats)
			if begun {
				w := s.Bus.OpenLive(t.Context(), dispatch.Identity(run.Fence{ID: row.ID, Epoch: row.Epoch, Turn: row.Turn, Attempt: row.Attempt}))
				w.Write(livestream.Snapshot(event.Event{Data: []byte(`{}`)}))
				w.Close()
			}
			if err := s.deliver(t.Context(), row, 2, false); err != nil { // the one who had it is gone: the attempt is raised
				t.Fatal(err)
			}
			if err := s.deliver(t.Context(), s.look(t, row.ID), 1, false); err != nil {
				t.Fatal(err)
			}
			if !begun {
				s.ended(t, row, run.Completed)
				return
			}
			if why := run.ReadFailure(s.ended(t, row, run.Failed).Error); why.Code != "connection_error" || s.calls.Load() != 0 {
				t.Errorf("failed by %+v after %d calls, want it broken off without one", why, s.calls.Load())
			}
		})
	}
}

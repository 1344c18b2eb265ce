package looporchestrator

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
)

const (
	due  = stepv1.ToolVerdict_TOOL_VERDICT_DUE
	done = stepv1.ToolVerdict_TOOL_VERDICT_DONE
	gone = stepv1.ToolVerdict_TOOL_VERDICT_GONE
)

// inTools is a request that waits for two calls of a tool.
func (s *stand) inTools(t *testing.T, tool string) run.Row {
	t.Helper()
	row := s.claimed(t)
	c := run.TurnCommit{Fence: run.Fence{ID: row.ID, Epoch: row.Epoch, Turn: row.Turn, Attempt: row.Attempt}, Output: []byte("[]")}
	for i := 1; i <= 2; i++ {
		c.Steps = append(c.Steps, run.NewStep{
			Index: i, Name: tool, Pool: "default", CallID: "call_" + string(rune('0'+i)), Input: []byte("{}"), InputHash: []byte("hash"),
		})
	}
	row, err := s.Store.CommitTurn(t.Context(), row, c)
	if err != nil {
		t.Fatal(err)
	}
	return s.look(t, row.ID)
}

// question is a runner's question about the row's first call, delivered twice.
func (s *stand) question(row run.Row) *stepv1.ToolQuestion {
	id := &stepv1.StepIdentity{
		RequestId: run.Hex(row.ID), Epoch: uint32(row.Epoch), Turn: uint32(row.Turn), Index: 1, Attempt: 1,
	}
	return &stepv1.ToolQuestion{
		Identity: id, Tenant: "default", CallId: "call_1", DispatchToken: s.Publish.Key.Token(id, "call_1"), Deliveries: 2,
	}
}

// resultOf is the result of the call in question.
func resultOf(q *stepv1.ToolQuestion) *stepv1.StepEvent {
	return &stepv1.StepEvent{
		Identity: proto.CloneOf(q.GetIdentity()), Tenant: "default", Name: "plain", CallId: q.GetCallId(),
		Event: &stepv1.StepEvent_ToolCompleted{ToolCompleted: &stepv1.ToolCompleted{
			Output: []byte("fine"), InputHash: []byte("hash"), DispatchToken: q.GetDispatchToken(),
		}},
	}
}

func (s *stand) publishEvent(t *testing.T, e *stepv1.StepEvent) {
	t.Helper()
	if _, err := s.Bus.Publish(t.Context(), message.Event(e)); err != nil {
		t.Fatal(err)
	}
}

func (s *stand) commit1(t *testing.T, q *stepv1.ToolQuestion) {
	t.Helper()
	if err := s.results.Commit(t.Context(), []consume.Delivery{{Event: resultOf(q), Delivered: 1}}); err != nil {
		t.Fatal(err)
	}
}

// A call is due only while its row waits for it and its result is not stored,
// whatever else the bus holds.
func TestAnswersFollowTheRowAndTheResults(t *testing.T) {
	t.Parallel()
	forge := func(change func(*stepv1.StepEvent)) func(*testing.T, *stand, run.Row, *stepv1.ToolQuestion) {
		return func(t *testing.T, s *stand, _ run.Row, q *stepv1.ToolQuestion) {
			e := resultOf(q)
			change(e)
			s.publishEvent(t, e)
		}
	}
	for name, tt := range map[string]struct {
		before func(*testing.T, *stand, run.Row, *stepv1.ToolQuestion)
		want   stepv1.ToolVerdict
	}{
		"the row waits": {nil, due},
		"its result is stored, not committed": {func(t *testing.T, s *stand, _ run.Row, q *stepv1.ToolQuestion) {
			s.publishEvent(t, resultOf(q))
		}, done},
		"its failure is stored, not committed": {forge(func(e *stepv1.StepEvent) {
			c := e.GetToolCompleted()
			e.Event = &stepv1.StepEvent_ToolFailed{ToolFailed: &stepv1.ToolFailed{
				Failure: &stepv1.Failure{Code: "timeout"}, InputHash: c.GetInputHash(), DispatchToken: c.GetDispatchToken(),
			}}
		}), done},
		"a result with a forged token is stored": {forge(func(e *stepv1.StepEvent) {
			e.GetToolCompleted().DispatchToken = []byte("forged")
		}), due},
		"a result of another input is stored": {forge(func(e *stepv1.StepEvent) {
			e.GetToolCompleted().InputHash = []byte("other")
		}), due},
		"the result of its sibling is stored": {forge(func(e *stepv1.StepEvent) { e.Identity.Index = 2 }), due},
		"the result of another attempt is stored": {
			forge(func(e *stepv1.StepEvent) { e.Identity.Attempt = 2 }), due,
		},
		"its result is committed": {func(t *testing.T, s *stand, _ run.Row, q *stepv1.ToolQuestion) {
			s.commit1(t, q)
		}, done},
		"a later attempt replaced it": {func(t *testing.T, s *stand, row run.Row, _ *stepv1.ToolQuestion) {
			if err := s.Store.RaiseTools(t.Context(), row); err != nil {
				t.Fatal(err)
			}
		}, gone},
		"the request is cancelled": {func(t *testing.T, s *stand, row run.Row, _ *stepv1.ToolQuestion) {
			if err := s.Store.Settle(t.Context(), store.Settlement{ID: row.ID, Tenant: "default", Status: run.Cancelled}); err != nil {
				t.Fatal(err)
			}
		}, gone},
		"the command is forged": {func(_ *testing.T, _ *stand, _ run.Row, q *stepv1.ToolQuestion) {
			q.DispatchToken = []byte("forged")
		}, gone},
		"the token is another call's": {func(_ *testing.T, _ *stand, _ run.Row, q *stepv1.ToolQuestion) {
			q.CallId = "call_2"
		}, gone},
		"the request is not there": {func(_ *testing.T, s *stand, _ run.Row, q *stepv1.ToolQuestion) {
			q.Identity.RequestId = run.Hex(uuid.Must(uuid.NewV7()))
			q.DispatchToken = s.Publish.Key.Token(q.GetIdentity(), q.GetCallId())
		}, gone},
		"the question says nothing": {func(_ *testing.T, _ *stand, _ run.Row, q *stepv1.ToolQuestion) { proto.Reset(q) }, gone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			row := s.inTools(t, "plain")
			q := s.question(row)
			if tt.before != nil {
				tt.before(t, s, row, q)
			}
			a, err := s.asks.Answer(t.Context(), q)
			if err != nil || a.GetVerdict() != tt.want {
				t.Errorf("answer = %v, %v; want %v", a, err, tt.want)
			}
		})
	}
}

// age makes a row older than it is.
func (s *stand) age(t *testing.T, id uuid.UUID, age time.Duration) {
	t.Helper()
	if _, err := s.DB.Exec(t.Context(), `
UPDATE requests SET changed_at = now() - make_interval(secs => @age), deadline = deadline - make_interval(secs => @age)
 WHERE id = @id`, postgres.Args{"id": id, "age": age.Seconds()}); err != nil {
		t.Fatal(err)
	}
}

// A question commits a result that its consumer does not deliver again.
func TestOverlookedResultIsCommitted(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.inTools(t, "plain")
	q := s.question(row)
	s.publishEvent(t, resultOf(q))
	for _, age := range []time.Duration{0, time.Hour} {
		s.age(t, row.ID, age)
		if a, err := s.asks.Answer(t.Context(), q); err != nil || a.GetVerdict() != done {
			t.Fatalf("answer = %v, %v; want done", a, err)
		}
		if open := len(s.look(t, row.ID).Steps); open != 2 && age == 0 || open != 1 && age > 0 {
			t.Errorf("%d calls are open when the row has not moved for %v", open, age)
		}
	}
}

func TestRedeliveredCallsAreCounted(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.inTools(t, "plain")
	q := s.question(row)
	for _, deliveries := range []uint32{1, 2, 2, 3} {
		q.Deliveries = deliveries
		if a, err := s.asks.Answer(t.Context(), q); err != nil || a.GetVerdict() != due {
			t.Fatalf("answer = %v, %v; want due", a, err)
		}
	}
	steps, err := s.Store.Steps(t.Context(), "default", row.ID)
	if err != nil {
		t.Fatal(err)
	}
	if steps[1].Attempt != 3 || steps[2].Attempt != 1 {
		t.Errorf("attempts are %d and %d, want 3 of the call that was delivered three times, 1 of the other", steps[1].Attempt, steps[2].Attempt)
	}
}

func TestCancelHintsAreConfirmedByTheRow(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.claimed(t)
	d := consume.Delivery{Turn: &stepv1.TurnCommand{Identity: dispatch.Identity(run.Fence{ID: row.ID, Epoch: 1, Turn: 1, Attempt: 1})}}
	if s.turns.ConfirmCancel(t.Context(), d) {
		t.Error("a hint for a request that is in progress is believed")
	}
	if err := s.Store.Settle(t.Context(), store.Settlement{ID: row.ID, Tenant: "default", Status: run.Cancelled}); err != nil {
		t.Fatal(err)
	}
	if !s.turns.ConfirmCancel(t.Context(), d) {
		t.Error("a hint for a cancelled request is not believed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s.turns.ConfirmCancel(ctx, d) {
		t.Error("a hint is believed when the row cannot be read")
	}
}

package bus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

func TestAskIsAnsweredOnceByAnyProcess(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	question := &stepv1.ToolQuestion{Identity: identity(1), Tenant: "acme", CallId: "call_1", DispatchToken: []byte("t"), Deliveries: 2}
	if _, err := f.Ask(t.Context(), pool, question); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("Ask without an answerer = %v, want no responders", err)
	}
	var asked atomic.Int32
	for range 2 {
		start(t, func(ctx context.Context) error {
			return f.Answer(ctx, 2, func(_ context.Context, q *stepv1.ToolQuestion) (*stepv1.ToolAnswer, error) {
				asked.Add(1)
				if q.GetDeliveries() == 9 {
					return nil, errors.New("postgres is away")
				}
				return &stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DONE, Uncertain: q.GetCallId() == "call_1"}, nil
			})
		})
	}
	var a *stepv1.ToolAnswer
	eventually(t, "an answer comes", func() (ok bool) {
		var err error
		a, err = f.Ask(t.Context(), pool, question)
		return err == nil
	})
	if a.GetVerdict() != stepv1.ToolVerdict_TOOL_VERDICT_DONE || !a.GetUncertain() || asked.Load() != 1 {
		t.Errorf("answer %v by %d processes, want done and uncertain by one", a, asked.Load())
	}
	question.Deliveries = 9
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if a, err := f.Ask(ctx, pool, question); err == nil {
		t.Errorf("answer to a question that could not be answered: %v", a)
	}
}

// results reads what is stored of a request's tool calls.
func (f *fixture) results(t *testing.T, tenant string, n int) (codes []string) {
	t.Helper()
	err := f.ToolResults(t.Context(), tenant, requestID(n), func(e *stepv1.StepEvent) bool {
		codes = append(codes, string(e.GetToolCompleted().GetOutput())+e.GetToolFailed().GetFailure().GetCode())
		return len(codes) < 3
	})
	if err != nil {
		t.Fatalf("ToolResults: %v", err)
	}
	return codes
}

func TestToolResultsAreThoseOfOneRequest(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	if got := f.results(t, "acme", 1); len(got) != 0 {
		t.Errorf("results before any = %v", got)
	}
	f.publish(t, failed(1), completed(2), started(1), completed(1))
	if got := f.results(t, "acme", 1); len(got) != 2 || got[0] != "timeout" || got[1] != "fine" {
		t.Errorf("results = %v, want timeout and fine", got)
	}
	if got := f.results(t, "other", 1); len(got) != 0 {
		t.Errorf("results of another tenant = %v", got)
	}
	f.publish(t, completed(1), completed(1))
	if got := f.results(t, "acme", 1); len(got) != 3 {
		t.Errorf("%d results, want the read to stop after 3", len(got))
	}
}

// startedCall is the ToolStarted of a call.
func startedCall(n int) *stepv1.StepEvent {
	return &stepv1.StepEvent{
		Identity: identity(n), Tenant: "acme", Event: &stepv1.StepEvent_ToolStarted{ToolStarted: &stepv1.ToolStarted{}},
	}
}

func TestBeginIsTrueOnce(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	for i, want := range []bool{true, false, false} {
		if first, err := f.Begin(t.Context(), pool, startedCall(1), ""); first != want || err != nil {
			t.Errorf("Begin, call %d = %t, %v; want %t, nil", i+1, first, err, want)
		}
	}
	// A runner of the previous version marks in the step stream and looks
	// there.
	old := "windlass.step.acme." + requestID(2) + ".1-1-1-1.tool_started"
	if _, err := f.js.Publish(t.Context(), old, nil); err != nil {
		t.Fatal(err)
	}
	if first, err := f.Begin(t.Context(), pool, startedCall(2), ""); first || err != nil {
		t.Errorf("Begin of a call that an old runner began = %t, %v; want false, nil", first, err)
	}
	s, err := f.js.Stream(t.Context(), "WINDLASS_STEP")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetLastMsgForSubject(t.Context(), "windlass.step.acme."+requestID(1)+".1-1-1-1.tool_started"); err != nil {
		t.Errorf("mark for old runners: %v", err)
	}
	age, err := f.MarksAge(t.Context())
	if err != nil || age <= 0 || age > time.Minute {
		t.Errorf("MarksAge = %v, %v; want less than a minute", age, err)
	}
	if err := f.Erase(t.Context(), requestID(1)); err != nil {
		t.Fatal(err)
	}
	if got := f.queued(t, "WINDLASS_MARK"); got != 1 {
		t.Errorf("%d marks after Erase, want the other request's", got)
	}
}

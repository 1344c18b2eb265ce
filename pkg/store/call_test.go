package store_test

import (
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

func oneCall(n *store.NewRequest) { n.Endpoint, n.Unstored = "embeddings", true }

// The answer of a request that is one model call is what its step left: an
// output, or why it failed.
func TestTheAnswerOfOneCallIsItsStep(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for _, tt := range []struct {
		name   string
		commit run.TurnCommit
		status run.Status
		want   string
	}{
		{"an answer", run.TurnCommit{Output: []byte(`{"data":[1]}`), Outcome: run.Completed}, run.Completed, `{"data":[1]}`},
		{"a failure", run.TurnCommit{Failed: true, Error: []byte(`{"code":"x"}`), Outcome: run.Failed, Reason: "x"}, run.Failed, `{"code":"x"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := runtest.Claimed(t, s, oneCall)
			if r.Endpoint != "embeddings" {
				t.Fatalf("the row's endpoint is %q", r.Endpoint)
			}
			r, err := s.RetryTurn(t.Context(), runtest.FenceOf(r), 0, "an attempt that failed")
			if err != nil {
				t.Fatal(err)
			}
			before, err := s.Answers.Read(t.Context(), runtest.Tenant, r.ID)
			if err != nil || before.Final != nil || before.Body != nil || before.Endpoint != "embeddings" {
				t.Errorf("before the end Answer = %+v, %v; want neither an answer nor a body", before, err)
			}
			r = runtest.Commit(t, s, r, tt.commit)
			if err := s.Settle(t.Context(), store.Settlement{ID: r.ID, Epoch: r.Epoch, Status: tt.status}); err != nil {
				t.Fatal(err)
			}
			a, err := s.Answers.Read(t.Context(), runtest.Tenant, r.ID)
			if err != nil || a.Status != tt.status || string(a.Final) != tt.want || a.Stored {
				t.Errorf("Answer = %s %s, %v; want %s %s", a.Status, a.Final, err, tt.status, tt.want)
			}
			if n := runtest.Ask[int](t, s, `SELECT count(*) FROM bodies WHERE request_id = $1`, r.ID)[0]; n != 1 {
				t.Errorf("%d bodies, want the request's alone", n)
			}
		})
	}
}

func TestACancelledCallHasNoAnswer(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Claimed(t, s, oneCall)
	if _, err := s.RetryTurn(t.Context(), runtest.FenceOf(r), 0, "an attempt that failed"); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context(), store.Settlement{ID: r.ID, Tenant: runtest.Tenant, Status: run.Cancelled}); err != nil {
		t.Fatal(err)
	}
	if a, err := s.Answers.Read(t.Context(), runtest.Tenant, r.ID); err != nil || a.Status != run.Cancelled || a.Final != nil {
		t.Errorf("Answer = %+v, %v; want it cancelled and empty", a, err)
	}
}

func TestCallShowsWhatHappenedAndNotWhatWasSaid(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Claimed(t, s, oneCall)
	runtest.Commit(t, s, r, run.TurnCommit{Output: []byte("secret"), Error: []byte("why"), InputTokens: 3, OutputTokens: 4, Outcome: run.Completed})
	trail := func(tenant string, id uuid.UUID) []run.Step {
		t.Helper()
		all, err := s.Call(t.Context(), tenant, id)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	got := trail(runtest.Tenant, r.ID)
	if len(got) != 1 || got[0].State != run.StepDone || got[0].InputTokens != 3 || got[0].OutputTokens != 4 || string(got[0].Error) != "why" ||
		got[0].Input != nil || got[0].Output != nil {
		t.Errorf("Call = %+v, want the step without its output", got)
	}
	response := runtest.InSettle(t, s, run.Completed)
	for name, got := range map[string][]run.Step{
		"of another tenant": trail("another tenant", r.ID), "that is not there": trail(runtest.Tenant, uuid.New()),
		"that is a response": trail(runtest.Tenant, response.ID), "that is queued": trail(runtest.Tenant, runtest.Accepted(t, s, oneCall)),
	} {
		if len(got) != 0 {
			t.Errorf("Call of a request %s = %+v, want nothing", name, got)
		}
	}
	if all := runtest.Steps(t, s, r.ID); len(all) != 0 {
		t.Errorf("Steps of a request that is not stored = %+v, want nothing", all)
	}
}

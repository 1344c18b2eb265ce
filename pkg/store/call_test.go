package store

import (
	"testing"

	"github.com/google/uuid"
)

func oneCall(n *NewRequest) { n.Endpoint, n.Unstored = "embeddings", true }

// The answer of a request that is one model call is what its step left: an output, or why it failed.
func TestTheAnswerOfOneCallIsItsStep(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, tt := range []struct {
		name   string
		commit TurnCommit
		status Status
		want   string
	}{
		{"an answer", TurnCommit{Output: []byte(`{"data":[1]}`), Outcome: Completed}, Completed, `{"data":[1]}`},
		{"a failure", TurnCommit{Failed: true, Error: []byte(`{"code":"x"}`), Outcome: Failed, Reason: "x"}, Failed, `{"code":"x"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := claimed(t, s, oneCall)
			if r.Endpoint != "embeddings" {
				t.Fatalf("the row's endpoint is %q", r.Endpoint)
			}
			r, err := s.RetryTurn(t.Context(), fenceOf(r), 0, "an attempt that failed")
			if err != nil {
				t.Fatal(err)
			}
			before, err := s.Answer(t.Context(), testTenant, r.ID)
			if err != nil || before.Final != nil || before.Body != nil || before.Endpoint != "embeddings" {
				t.Errorf("before the end Answer = %+v, %v; want neither an answer nor a body", before, err)
			}
			r = commit(t, s, r, tt.commit)
			if err := s.Settle(t.Context(), Settlement{ID: r.ID, Epoch: r.Epoch, Status: tt.status}); err != nil {
				t.Fatal(err)
			}
			a, err := s.Answer(t.Context(), testTenant, r.ID)
			if err != nil || a.Status != tt.status || string(a.Final) != tt.want || a.Stored {
				t.Errorf("Answer = %s %s, %v; want %s %s", a.Status, a.Final, err, tt.status, tt.want)
			}
			if n := ask[int](t, s, `SELECT count(*) FROM bodies WHERE request_id = $1`, uuid.UUID(r.ID))[0]; n != 1 {
				t.Errorf("%d bodies, want the request's alone", n)
			}
		})
	}
}

func TestACancelledCallHasNoAnswer(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := claimed(t, s, oneCall)
	if _, err := s.RetryTurn(t.Context(), fenceOf(r), 0, "an attempt that failed"); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context(), Settlement{ID: r.ID, Tenant: testTenant, Status: Cancelled}); err != nil {
		t.Fatal(err)
	}
	if a, err := s.Answer(t.Context(), testTenant, r.ID); err != nil || a.Status != Cancelled || a.Final != nil {
		t.Errorf("Answer = %+v, %v; want it cancelled and empty", a, err)
	}
}

func TestCallShowsWhatHappenedAndNotWhatWasSaid(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := claimed(t, s, oneCall)
	commit(t, s, r, TurnCommit{Output: []byte("secret"), Error: []byte("why"), InputTokens: 3, OutputTokens: 4, Outcome: Completed})
	trail := func(tenant string, id uuid.UUID) []Step {
		t.Helper()
		all, err := s.Call(t.Context(), tenant, id)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	got := trail(testTenant, r.ID)
	if len(got) != 1 || got[0].State != StepDone || got[0].InputTokens != 3 || got[0].OutputTokens != 4 || string(got[0].Error) != "why" ||
		got[0].Input != nil || got[0].Output != nil {
		t.Errorf("Call = %+v, want the step without its output", got)
	}
	response := inSettle(t, s, Completed)
	for name, got := range map[string][]Step{
		"of another tenant": trail("another tenant", r.ID), "that is not there": trail(testTenant, uuid.New()),
		"that is a response": trail(testTenant, response.ID), "that is queued": trail(testTenant, accepted(t, s, oneCall)),
	} {
		if len(got) != 0 {
			t.Errorf("Call of a request %s = %+v, want nothing", name, got)
		}
	}
	if all := steps(t, s, r.ID); len(all) != 0 {
		t.Errorf("Steps of a request that is not stored = %+v, want nothing", all)
	}
}

package dispatch

import (
	"testing"

	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

func TestKeyHoldsOnlyItsOwnTokens(t *testing.T) {
	t.Parallel()
	key, other := Key("0123456789abcdef"), Key("fedcba9876543210")
	id := &stepv1.StepIdentity{RequestId: "r", Epoch: 1, Turn: 2, Index: 3, Attempt: 4}
	token := key.Token(id, "call_1")
	if !key.Holds(token, id, "call_1") {
		t.Error("a token made with the key does not hold")
	}
	changed := &stepv1.StepIdentity{RequestId: "r", Epoch: 1, Turn: 2, Index: 3, Attempt: 5}
	for name, held := range map[string]bool{
		"another key":     other.Holds(token, id, "call_1"),
		"another attempt": key.Holds(token, changed, "call_1"),
		"another call":    key.Holds(token, id, "call_2"),
		"no token":        key.Holds(nil, id, "call_1"),
	} {
		if held {
			t.Errorf("a token holds for %s", name)
		}
	}
	if Key("short").Check() == nil || key.Check() != nil {
		t.Error("Check does not tell a short key from a good one")
	}
}

// During a rotation old and new services dispatch and believe side by side.
func TestRotatedKeyHoldsTokensOfBothSecrets(t *testing.T) {
	t.Parallel()
	id := &stepv1.StepIdentity{RequestId: "r", Epoch: 1, Turn: 2, Index: 3, Attempt: 4}
	before, added := Key("0123456789abcdef"), Key("0123456789abcdef, fedcba9876543210")
	first, after := Key("fedcba9876543210,0123456789abcdef"), Key("fedcba9876543210")
	for name, tt := range map[string]struct {
		by, to Key
		want   bool
	}{
		"step 1, old to new": {before, added, true}, "step 1, new to old": {added, before, true},
		"step 2, old to new": {added, first, true}, "step 2, new to old": {first, added, true},
		"step 3, old to new": {first, after, true}, "step 3, new to old": {after, first, true},
		"a removed secret": {before, after, false},
	} {
		if got := tt.to.Holds(tt.by.Token(id, "c"), id, "c"); got != tt.want {
			t.Errorf("%s: Holds = %v, want %v", name, got, tt.want)
		}
	}
	for _, bad := range []string{"", ",", "0123456789abcdef,", ",0123456789abcdef", "0123456789abcdef,short"} {
		if Key(bad).Check() == nil {
			t.Errorf("Check of %q = nil, want ErrShortKey", bad)
		}
	}
	if err := added.Check(); err != nil {
		t.Error(err)
	}
}

func TestDueFollowsTheRow(t *testing.T) {
	t.Parallel()
	row := run.Row{ID: run.ID{1}, Status: run.InProgress, Live: true, Epoch: 1, Turn: 2, Attempt: 1}
	for name, tt := range map[string]struct {
		change func(*run.Row)
		want   int
	}{
		"a model turn is one command":          {func(r *run.Row) { r.Stage = run.StageModel }, 1},
		"a parked turn is none":                {func(r *run.Row) { r.Stage, r.DueIn = run.StageModel, 5 }, 0},
		"tools are one each, but parked ones":  {func(r *run.Row) { r.Stage, r.Steps = run.StageTools, []run.Step{{}, {}, {DueIn: 1}} }, 2},
		"a decided row is a final":             {func(r *run.Row) { r.Stage = run.StageSettle }, 1},
		"a terminal row with after-work":       {func(r *run.Row) { r.Status = run.Cancelled }, 1},
		"a terminal row without after-work":    {func(r *run.Row) { r.Status, r.Live = run.Completed, false }, 0},
		"a queued row is the claim's business": {func(r *run.Row) { r.Status, r.Live = run.Queued, false }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := row
			tt.change(&r)
			if got := len(Publisher{}.due(r, false)); got != tt.want {
				t.Errorf("due(%+v) has %d messages, want %d", r, got, tt.want)
			}
		})
	}
}

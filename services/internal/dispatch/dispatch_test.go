package dispatch

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store"
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

func TestIdempotencyKeyNamesTheCallAndNotTheAttempt(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	key := IdempotencyKey(id, 1, 2, "call_1")
	if key != IdempotencyKey(id, 1, 2, "call_1") || !strings.HasPrefix(key, "wl_") {
		t.Errorf("key %q is not stable", key)
	}
	for _, other := range []string{
		IdempotencyKey(id, 2, 2, "call_1"), IdempotencyKey(id, 1, 3, "call_1"),
		IdempotencyKey(id, 1, 2, "call_2"), IdempotencyKey(uuid.Must(uuid.NewV7()), 1, 2, "call_1"),
	} {
		if other == key {
			t.Error("two calls share a key")
		}
	}
	if bytes.Equal(InputHash("a", []byte("bc")), InputHash("ab", []byte("c"))) {
		t.Error("two inputs share a hash")
	}
}

func TestDueFollowsTheRow(t *testing.T) {
	t.Parallel()
	row := store.Row{ID: uuid.Must(uuid.NewV7()), Status: store.InProgress, Live: true, Epoch: 1, Turn: 2, Attempt: 1}
	for name, tt := range map[string]struct {
		change func(*store.Row)
		want   int
	}{
		"a model turn is one command":          {func(r *store.Row) { r.Stage = store.StageModel }, 1},
		"a parked turn is none":                {func(r *store.Row) { r.Stage, r.DueIn = store.StageModel, 5 }, 0},
		"tools are one each, but parked ones":  {func(r *store.Row) { r.Stage, r.Steps = store.StageTools, []store.Step{{}, {}, {DueIn: 1}} }, 2},
		"a decided row is a final":             {func(r *store.Row) { r.Stage = store.StageSettle }, 1},
		"a terminal row with after-work":       {func(r *store.Row) { r.Status = store.Cancelled }, 1},
		"a terminal row without after-work":    {func(r *store.Row) { r.Status, r.Live = store.Completed, false }, 0},
		"a queued row is the claim's business": {func(r *store.Row) { r.Status, r.Live = store.Queued, false }, 0},
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

func TestRequestIDReadsWhatBusIDWrote(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	if got, err := RequestID(BusID(id)); err != nil || got != id {
		t.Errorf("RequestID(BusID(%s)) = %s, %v", id, got, err)
	}
	for _, bad := range []string{"", "zz", BusID(id)[:30], BusID(id) + "00"} {
		if _, err := RequestID(bad); err == nil {
			t.Errorf("RequestID(%q) is no error", bad)
		}
	}
}

// FuzzRequestID: an id is what BusID wrote, in either case, and nothing else is one.
func FuzzRequestID(f *testing.F) {
	for _, s := range []string{"01890a5dac96774bbcceb302099a8057", "", "*", "01890A5DAC96774BBCCEB302099A8057", "01890a5d-ac96-774b-bcce-b302099a8057", "0x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := RequestID(text)
		if err == nil && !strings.EqualFold(BusID(id), text) {
			t.Errorf("%q is read as %s", text, BusID(id))
		}
		if err != nil && (len(text) == 32 && strings.Trim(text, "0123456789abcdef") == "") {
			t.Errorf("%q is refused: %v", text, err)
		}
	})
}

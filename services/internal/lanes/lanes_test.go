package lanes

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/registry"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStand is a bus with the lanes "one" (2 slots) and "two" (4 slots), and the
// lanes' view of it.
func newStand(tb testing.TB) (*Lanes, *bus.Bus, *bustest.Broker) {
	tb.Helper()
	at := registry.Upstream{URL: "http://127.0.0.1:1/v1"}
	reg, err := registry.New(registry.File{Models: []registry.Model{
		{Name: "one", Upstream: at, Concurrency: 2}, {Name: "two", Upstream: at, Concurrency: 4},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	broker := bustest.NewBroker(tb)
	b := bustest.Connect(tb, broker)
	topology := bus.Topology{ResultsSince: time.Now()}
	for _, l := range reg.Lanes() {
		topology.Lanes = append(topology.Lanes, bus.Lane{Name: l.Name, Concurrency: l.Concurrency})
	}
	if err := b.Ensure(tb.Context(), topology); err != nil {
		tb.Fatal(err)
	}
	return New(b, zap.NewNop(), reg.Lanes()), b, broker
}

// queue has the turns 1 to n wait in a lane, and returns when its load has
// them: the server acknowledges first and counts then.
func queue(tb testing.TB, b *bus.Bus, lane string, n int) {
	tb.Helper()
	var msgs []message.Message
	for turn := range n {
		msgs = append(msgs, message.Turn(&stepv1.TurnCommand{Lane: lane, Identity: &stepv1.StepIdentity{
			RequestId: "01890a5dac96774bbcceb302099a8057", Epoch: 1, Turn: uint32(turn + 1), Attempt: 1,
		}}))
	}
	if _, err := b.Publish(tb.Context(), msgs...); err != nil {
		tb.Fatal(err)
	}
	for limit := time.Now().Add(20 * time.Second); ; {
		waiting, _, err := b.LaneLoad(tb.Context(), lane)
		if err != nil {
			tb.Fatal(err)
		}
		if waiting == n {
			return
		}
		if time.Now().After(limit) {
			tb.Fatalf("%d turns wait in the lane, want %d", waiting, n)
		}
	}
}

// look asks every lane.
func look(tb testing.TB, l *Lanes) map[string]int {
	tb.Helper()
	free := map[string]int{}
	for _, name := range l.Names() {
		free[name] = l.Free(tb.Context(), name)
	}
	return free
}

func TestLanesAreFilledToHalfMoreThanTheirSlots(t *testing.T) {
	t.Parallel()
	l, b, _ := newStand(t)
	if diff := cmp.Diff(map[string]int{"one": 3, "two": 6}, look(t, l)); diff != "" {
		t.Errorf("free slots of idle lanes (-want +got):\n%s", diff)
	}
	queue(t, b, "one", 2)
	l.Take("one", 3)
	l.Take("unknown", 1)
	if diff := cmp.Diff(map[string]int{"one": 1, "two": 6}, look(t, l)); diff != "" { // spent: the bus was asked again
		t.Errorf("free slots beside two turns (-want +got):\n%s", diff)
	}
	queue(t, b, "one", 5)
	l.Take("one", 1)
	if got := l.Free(t.Context(), "one"); got != 0 {
		t.Errorf("a full lane has %d free slots, want none", got)
	}
}

func TestLanesAreFullWhileTheBusIsAway(t *testing.T) {
	t.Parallel()
	l, _, broker := newStand(t)
	broker.Stop()
	if got := look(t, l); got["one"] != 0 || got["two"] != 0 {
		t.Errorf("free slots are %v: nothing can be dispatched", got)
	}
	broker.Start()
	for limit := time.Now().Add(20 * time.Second); ; {
		got := look(t, l)
		if got["one"] > 0 && got["two"] > 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("free slots are %v 20 s after the bus came back", got)
		}
	}
}

func TestReserveTakesWhatTheLastLookShowed(t *testing.T) {
	t.Parallel()
	l, _, _ := newStand(t)
	if ok, ask := l.Reserve("one"); ok || !ask {
		t.Errorf("Reserve before the first look = %v, %v, want no slot and the duty to look", ok, ask)
	}
	if ok, ask := l.Reserve("one"); ok || ask {
		t.Errorf("Reserve while another looks = %v, %v, want neither", ok, ask)
	}
	l.Refresh(t.Context(), "one")
	for i := range 3 {
		if ok, _ := l.Reserve("one"); !ok {
			t.Errorf("Reserve %d of 3 = false", i+1)
		}
	}
	if ok, _ := l.Reserve("one"); ok {
		t.Error("Reserve gave a slot more than there are")
	}
	if ok, ask := l.Reserve("unknown"); ok || ask {
		t.Errorf("Reserve of an unknown lane = %v, %v, want neither", ok, ask)
	}
}

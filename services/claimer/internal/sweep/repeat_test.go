package sweep

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/claimer/internal/claimertest"
)

// next takes one command from the bus.
func next(t *testing.T, s *Sweep, work consume.Work) consume.Delivery {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	got := make(chan consume.Delivery, 1)
	err := s.Bus.Run(ctx, consume.Config{Work: work, Slots: 1, Grace: time.Second, Handle: func(_ context.Context, d consume.Delivery) error {
		got <- d
		stop()
		return nil
	}})
	if err != nil || len(got) != 1 {
		t.Fatalf("waiting for a command ended with %v and %d of them, want 1", err, len(got))
	}
	return <-got
}

// TestOnlyWhatMayBePublishedIsMarkedAsARepeat holds that the first publish of a
// parked turn is no repeat, which would cost it an attempt, and that everything
// else that the sweep publishes is one: another worker may have it.
func TestOnlyWhatMayBePublishedIsMarkedAsARepeat(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	row := claimertest.Claim(t, s.Worker)
	if next(t, s, consume.TurnWork("m")).Turn.GetRepeat() {
		t.Error("a claimed turn is a repeat")
	}
	if err := s.publishOverdue(t.Context(), []run.Row{row}); err != nil {
		t.Fatal(err)
	}
	if !next(t, s, consume.TurnWork("m")).Turn.GetRepeat() {
		t.Error("an overdue turn is published as a first one")
	}
	tools := row
	tools.Stage, tools.Steps = run.StageTools, []run.Step{{Index: 1, Name: "t", Pool: "default", CallID: "c", Attempt: 1}}
	if err := s.publishOverdue(t.Context(), []run.Row{tools}); err != nil {
		t.Fatal(err)
	}
	if !next(t, s, consume.ToolWork("default")).Tool.GetRepeat() {
		t.Error("an overdue tool call is published as a first one")
	}
	// The turn fails, is parked for no time at all, and is swept.
	parked, err := s.Store.RetryTurn(t.Context(), row.Fence(), 0, run.Failure{Code: "timeout"})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.sweepBatch(t.Context()); n != 1 {
		t.Fatalf("%d rows were swept, want the parked one", n)
	}
	if d := next(t, s, consume.TurnWork("m")); d.Turn.GetRepeat() || d.Turn.GetIdentity().GetAttempt() != uint32(parked.Attempt) {
		t.Errorf("the parked turn's first publish is %+v, want attempt %d and no repeat", d.Turn, parked.Attempt)
	}
	now, err := s.Store.Look(t.Context(), row.ID)
	if err != nil || now.Unpublished {
		t.Fatalf("the row is %+v, %v, want it postponed as published", now, err)
	}
	if err := s.publishOverdue(t.Context(), []run.Row{now}); err != nil {
		t.Fatal(err)
	}
	if !next(t, s, consume.TurnWork("m")).Turn.GetRepeat() {
		t.Error("the parked turn's second publish is no repeat")
	}
}

// TestASweepThatCannotPublishPostponesNothing holds that rows whose commands
// may be missing stay due.
func TestASweepThatCannotPublishPostponesNothing(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	row := claimertest.Claim(t, s.Worker)
	if _, err := s.Store.RetryTurn(t.Context(), row.Fence(), 0, run.Failure{Code: "timeout"}); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	s.Bus.Close(ended)
	if n := s.sweepBatch(t.Context()); n != 0 {
		t.Errorf("%d rows were swept without a bus, want none", n)
	}
	if rows, err := s.Store.Overdue(t.Context(), 9); err != nil || len(rows) != 1 {
		t.Errorf("Overdue = %d rows, %v, want the one that was not published", len(rows), err)
	}
}

// TestAStreamThatWasFullRaisesNoAlarm holds that commands that a full stream
// refused do not look like lost ones when they are accepted later.
func TestAStreamThatWasFullRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	row := claimertest.Claim(t, s.Worker)
	if err := s.Bus.Purge(t.Context(), run.Hex(row.ID)); err != nil {
		t.Fatal(err)
	}
	s.lastFull = time.Now()
	if err := s.publishOverdue(t.Context(), []run.Row{row}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.alarm:
		t.Error("a command that may have been refused by a full stream raised the alarm")
	default:
	}
}

// TestStuckToolCallsAreReplaced holds that the calls of a stuck row get a new
// attempt, whose commands no queue refuses.
func TestStuckToolCallsAreReplaced(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	row := claimertest.Claim(t, s.Worker)
	c := run.TurnCommit{Fence: row.Fence(), Output: []byte("[]"), Steps: []run.NewStep{{
		Index: 1, Name: "t", Pool: "default", CallID: "c", Input: []byte("{}"), InputHash: []byte("hash"),
	}}}
	if _, err := s.Store.CommitTurn(t.Context(), row, c); err != nil {
		t.Fatal(err)
	}
	row, err := s.Store.Look(t.Context(), row.ID)
	if err != nil || len(row.Steps) != 1 {
		t.Fatalf("the row is %+v, %v, want it in a tool call", row, err)
	}
	row.Age = time.Hour
	if moving := s.replaceStuck(t.Context(), []run.Row{row}); len(moving) != 0 {
		t.Errorf("the stuck row is among the moving ones: %+v", moving)
	}
	now, err := s.Store.Look(t.Context(), row.ID)
	if err != nil || len(now.Steps) != 1 || now.Steps[0].Attempt != row.Steps[0].Attempt+1 {
		t.Errorf("the row is %+v, %v, want its call at the next attempt", now, err)
	}
}

// TestALostStreamRaisesTheAlarm holds that a stream that the bus reports lost
// makes every live request due.
func TestALostStreamRaisesTheAlarm(t *testing.T) {
	t.Parallel()
	var server bus.InProcess
	s := newSweep(t, func(cfg *bus.Config) { server = cfg.InProcess })
	nc, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- s.watchStreams(ctx) }()
	defer func() {
		stop()
		if err := <-watched; err != nil {
			t.Errorf("watchStreams = %v", err)
		}
	}()
	for limit := time.After(30 * time.Second); ; {
		// The watch reports no loss of a stream that it has not seen.
		if _, err := nc.Request("$JS.API.STREAM.DELETE.WINDLASS_TURN", nil, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.alarm:
			return
		case <-time.After(3 * time.Second):
		case <-limit:
			t.Fatal("a lost stream raised no alarm")
		}
	}
}

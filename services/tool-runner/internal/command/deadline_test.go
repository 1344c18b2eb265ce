package command

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/runnertest"
)

// TestF21ClocksDoNotDecideCalls holds that no time of another process ends a
// call: a clock that differs costs a question, and the answer has the time that
// remains.
func TestF21ClocksDoNotDecideCalls(t *testing.T) {
	t.Parallel()
	const hour, skew = time.Hour, 65 * time.Minute
	due := func(remaining time.Duration) *stepv1.ToolAnswer {
		return &stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE, Remaining: durationpb.New(remaining)}
	}
	for name, tt := range map[string]struct {
		remaining time.Duration // of the command; 0: its publisher is of an earlier version
		deadline  time.Duration // of the command, from now by the runner's clock
		stored    time.Duration // before now by the runner's clock
		answer    *stepv1.ToolAnswer
		asks      int64
		fails     bool
	}{
		"the clocks agree":                   {hour, hour, 0, nil, 0, false},
		"the runner's clock is ahead":        {hour, hour - skew, skew, due(hour), 1, false},
		"the runner's clock is behind":       {hour, hour + skew, -skew, due(hour), 1, false},
		"the publisher's clock is behind":    {hour, hour - skew, 0, nil, 0, false},
		"the command waited too long":        {hour, 0, hour, due(-time.Second), 1, true},
		"waited, and the clock is behind":    {hour, skew, -skew + hour, due(hour), 1, false},
		"an earlier publisher, clock ahead":  {0, hour - skew, skew, due(hour), 1, false},
		"all of an earlier version, in time": {0, hour, 0, &stepv1.ToolAnswer{Verdict: due(0).GetVerdict()}, 1, false},
		"all of an earlier version, late":    {0, -hour, 0, &stepv1.ToolAnswer{Verdict: due(0).GetVerdict()}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := runnertest.New(t, runnertest.Answer)
			h.FixedAnswer.Store(tt.answer)
			r := newHandler(t, h)
			c := runnertest.Command("plain")
			c.Remaining, c.DeadlineTime = nil, timestamppb.New(time.Now().Add(tt.deadline))
			if tt.remaining > 0 {
				c.Remaining = durationpb.New(tt.remaining)
			}
			d := runnertest.Delivery(c, 1)
			d.Stored = time.Now().Add(-tt.stored)
			want, outcome := runnertest.Sunny(c), ""
			if tt.fails {
				want, outcome = failedEvent(c, tooLate, 0), "failed"
			}
			handle(t, r, d, outcome)
			h.WantEvent(t, want)
			if got := h.Asked.Load(); got != tt.asks {
				t.Errorf("the runner asked %d times, want %d", got, tt.asks)
			}
		})
	}
}

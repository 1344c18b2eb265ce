package plan

import (
	"fmt"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// maxArguments bounds the arguments of one call, so that its command fits a
// message.
const maxArguments = 256 << 10

// refusal returns why a call is not made, or nil if it is.
func (d *Draft) refusal(c model.ToolCall, registered registry.Tool, known bool, index int) *run.Failure {
	made := index - 1
	for _, before := range d.Turns {
		made += len(before.Tools)
	}
	switch {
	case !known:
		return refuse(run.CodeUnknownTool, "There is no tool named %q.", clean(c.Name, 128))
	case index > d.Limits.MaxParallelToolCalls:
		most := d.Limits.MaxParallelToolCalls
		return refuse(run.CodeTooManyParallel, "At most %d tool calls may be made at once.", most)
	case d.Request.MaxToolCalls != nil && made >= *d.Request.MaxToolCalls:
		return refuse(run.CodeMaxToolCalls, "The request allows no more tool calls.")
	case made >= d.Limits.MaxToolCalls:
		return refuse(run.CodeMaxToolCalls, "The server allows no more tool calls in this request.")
	case len(c.Arguments) > maxArguments:
		return refuse(run.CodeArgumentsTooLarge, "Arguments may have at most %d bytes.", maxArguments)
	}
	if err := registered.ValidateArguments([]byte(c.Arguments)); err != nil {
		return &run.Failure{Code: run.CodeInvalidArguments, Message: err.Error()}
	}
	return nil
}

func refuse(code run.Code, format string, args ...any) *run.Failure {
	return &run.Failure{Code: code, Message: fmt.Sprintf(format, args...)}
}

// spentBudget names the budget that forbids another turn, or is empty.
func (d *Draft) spentBudget() string {
	used := transcript.Usage(d.Turns).Add(d.record.Usage)
	shown := transcript.Usage(d.answerTurns()).Add(d.record.Usage) // without summaries, which clients do not see
	switch {
	case d.Turn >= d.Limits.MaxTurns:
		return run.CodeMaxTurns
	case d.Limits.MaxTokens > 0 && used.Total() >= int64(d.Limits.MaxTokens):
		return "max_tokens"
	case d.Request.MaxOutputTokens != nil && shown.OutputTokens >= int64(*d.Request.MaxOutputTokens):
		return run.CodeMaxOutputTokens
	case d.bytes() > d.Limits.MaxOutputBytes:
		return run.CodeMaxOutputBytes
	}
	return ""
}

// bytes counts what model and tools have returned so far.
func (d *Draft) bytes() int {
	n := size(d.record.Items)
	for _, before := range d.Turns {
		n += size(before.Items)
		for _, s := range before.Tools {
			n += len(s.Output)
		}
	}
	return n
}

func size(items []item.Item) int {
	n := 0
	for _, it := range items {
		if it.Type != listTools && it.Type != compaction.Item { // Windlass makes those
			n += len(it.JSON())
		}
	}
	return n
}

// stop ends the loop on a budget. No call is made, because no later turn would
// read its result.
func (d *Draft) stop(reason string) {
	f := run.Failure{Code: reason, Message: "The call was not made: the request's budget is spent."}
	for i := range d.commit.Steps {
		if s := &d.commit.Steps[i]; s.Due() {
			s.Output, s.Error = f.ForModel(), f.Encode()
		}
	}
	d.endLoop(run.Incomplete, reason)
}

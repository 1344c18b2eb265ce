// Package plan holds the rules of the loop: what follows from what a model said. It calls nobody and keeps nothing.
package plan

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/chain"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/loop-orchestrator/internal/chat"
)

// maxArguments bounds one call's arguments, so that its command fits a message.
const maxArguments = 256 << 10

// State is the request as it was before the turn.
type State struct {
	ID      uuid.UUID
	Turn    int
	Request *responses.Create
	Earlier []chain.Ancestor // what the request continues
	Turns   []chain.Turn
	Tools   toolset.Toolset
	Limits  registry.Limits
}

// Left is what remains of the request's max_output_tokens; nil where there is no bound.
func (s State) Left() *int {
	if s.Request.MaxOutputTokens == nil {
		return nil
	}
	left := max(*s.Request.MaxOutputTokens-int(chain.Usage(s.Turns).OutputTokens), 0)
	return &left
}

// Choice is what the model is told of tool_choice. A call that the request forces is forced once: forced in every turn, the loop
// could only end on a budget.
func (s State) Choice() tool.Choice {
	c := s.Tools.Choice
	if len(s.Turns) > 0 && (c.Tool != nil || c.Mode == "required") {
		return tool.Choice{Mode: "auto"}
	}
	return c
}

// Next is what follows from the answer: the record to store, the steps to write and, when the loop ends here, the outcome. The
// fence is the caller's to fill in.
func Next(s State, a chat.Answer) (chain.Record, store.TurnCommit) {
	t := turn{State: s, record: chain.Record{Usage: a.Usage}, ids: s.callIDs()}
	t.commit = store.TurnCommit{InputTokens: a.Usage.InputTokens, OutputTokens: a.Usage.OutputTokens}
	cut := a.Finish == chat.Length || a.Finish == chat.Filtered || a.Finish == chat.Other
	t.say(a, cut)
	if !cut { // a call the model could not finish is not made
		for _, c := range a.Calls {
			t.call(c)
		}
	}
	switch {
	case a.Finish == chat.Length:
		t.end(store.Incomplete, "max_output_tokens")
	case a.Finish == chat.Filtered:
		t.end(store.Incomplete, "content_filter")
	case a.Finish == chat.Other:
		t.end(store.Incomplete, "unknown_finish_reason")
	case len(t.commit.Steps) == 0 || t.client > 0:
		t.end(store.Completed, "")
	case t.spent() != "":
		t.stop(t.spent())
	}
	return t.record, t.commit
}

// turn collects what one answer comes to.
type turn struct {
	State
	record chain.Record
	commit store.TurnCommit
	ids    map[string]bool // call ids in use
	client int             // calls the client is to make
}

func (t *turn) end(outcome store.Status, reason string) {
	t.commit.Outcome, t.commit.Reason = outcome, reason
}

// say records what the model thought and said.
func (t *turn) say(a chat.Answer, cut bool) {
	status := "completed"
	if cut {
		status = "incomplete"
	}
	if a.Reasoning != "" {
		t.record.Items = append(t.record.Items, item.Reasoning{ID: t.itemID("rs"), Text: a.Reasoning}.Item())
	}
	var parts []item.Part
	if a.Text != "" {
		parts = append(parts, item.Part{Type: "output_text", Text: a.Text, Logprobs: a.Logprobs})
	}
	if a.Refusal != "" {
		parts = append(parts, item.Part{Type: "refusal", Text: a.Refusal})
	}
	if len(parts) == 0 {
		if len(a.Calls) > 0 && !cut {
			return
		}
		parts = append(parts, item.Part{Type: "output_text"})
	}
	t.record.Items = append(t.record.Items, item.Message(t.itemID("msg"), "assistant", status, parts...))
}

// call records one call and, where it is the server's, writes its step: due, or failed at once with an error the model sees.
func (t *turn) call(c chat.ToolCall) {
	name := clean(c.Name, 128)
	id := t.uniqueID(c.ID)
	t.record.Items = append(t.record.Items, item.Call{
		ID: t.itemID("fc"), Status: "completed", CallID: id, Name: name, Arguments: c.Arguments,
	}.Function())
	if t.Tools.Client(name) {
		t.client++
		return
	}
	registered, known := t.Tools.Server(name)
	step := store.NewStep{
		Index: len(t.commit.Steps) + 1, Name: name, Pool: registered.Pool, CallID: id,
		Input: []byte(c.Arguments), InputHash: dispatch.InputHash(name, []byte(c.Arguments)),
	}
	if step.Input == nil {
		step.Input = []byte{}
	}
	if f := t.refuse(c, registered, known, step.Index); f != nil {
		step.Output, step.Error = f.ForModel(), f.Encode()
	}
	t.commit.Steps = append(t.commit.Steps, step)
}

// refuse says why a call is not made; nil when it is.
func (t *turn) refuse(c chat.ToolCall, registered registry.Tool, known bool, index int) *chain.Failure {
	made := index - 1
	for _, before := range t.Turns {
		made += len(before.Tools)
	}
	switch {
	case !known:
		return &chain.Failure{Code: "unknown_tool", Message: fmt.Sprintf("There is no tool named %q.", clean(c.Name, 128))}
	case index > t.Limits.MaxParallelToolCalls:
		return &chain.Failure{Code: "too_many_parallel_calls", Message: fmt.Sprintf(
			"At most %d tool calls may be made at once.", t.Limits.MaxParallelToolCalls)}
	case t.Request.MaxToolCalls != nil && made >= *t.Request.MaxToolCalls:
		return &chain.Failure{Code: "max_tool_calls", Message: "The request allows no more tool calls."}
	case made >= t.Limits.MaxToolCalls:
		return &chain.Failure{Code: "max_tool_calls", Message: "The server allows no more tool calls in this request."}
	case len(c.Arguments) > maxArguments:
		return &chain.Failure{Code: "arguments_too_large", Message: fmt.Sprintf("Arguments may have at most %d bytes.", maxArguments)}
	}
	if err := registered.ValidateArguments([]byte(c.Arguments)); err != nil {
		return &chain.Failure{Code: "invalid_arguments", Message: err.Error()}
	}
	return nil
}

// spent names the budget that forbids another turn; empty when none does.
func (t *turn) spent() string {
	used := chain.Usage(t.Turns).Add(t.record.Usage)
	switch {
	case t.Turn >= t.Limits.MaxTurns:
		return "max_turns"
	case t.Limits.MaxTokens > 0 && used.Total() >= int64(t.Limits.MaxTokens):
		return "max_tokens"
	case t.Request.MaxOutputTokens != nil && used.OutputTokens >= int64(*t.Request.MaxOutputTokens):
		return "max_output_tokens"
	case t.bytes() > t.Limits.MaxOutputBytes:
		return "max_output_bytes"
	}
	return ""
}

// bytes is what model and tools have returned so far.
func (t *turn) bytes() int {
	n := size(t.record.Items)
	for _, before := range t.Turns {
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
		n += len(it.JSON())
	}
	return n
}

// stop ends the loop on a budget: nobody would see the calls' results, so none is made.
func (t *turn) stop(reason string) {
	f := chain.Failure{Code: reason, Message: "The call was not made: the request's budget is spent."}
	for i := range t.commit.Steps {
		if s := &t.commit.Steps[i]; s.Due() {
			s.Output, s.Error = f.ForModel(), f.Encode()
		}
	}
	t.end(store.Incomplete, reason)
}

// itemID is stable over attempts: what a client saw of one attempt is what the next one calls it.
func (t *turn) itemID(prefix string) string {
	return fmt.Sprintf("%s_%s%04x%04x", prefix, dispatch.BusID(t.ID), t.Turn, len(t.record.Items))
}

// uniqueID keeps the model's call id unless it is empty, was used before, or cannot be stored. The id made in its place stays
// below the 40 characters that OpenAI's chat completions takes, with the random half of the request's id.
func (t *turn) uniqueID(id string) string {
	unique := clean(id, 64)
	for n := len(t.record.Items); unique == "" || t.ids[unique]; n++ {
		unique = fmt.Sprintf("call_%s%04x%04x", dispatch.BusID(t.ID)[16:], t.Turn, n)
	}
	t.ids[unique] = true
	return unique
}

func (s State) callIDs() map[string]bool {
	ids := make(map[string]bool)
	add := func(input []item.Item, turns []chain.Turn) {
		for _, t := range turns {
			for _, it := range t.Items {
				ids[it.CallID] = true
			}
		}
		for _, it := range input {
			ids[it.CallID] = true
		}
	}
	for _, a := range s.Earlier {
		add(a.Input, a.Turns)
	}
	add(s.Request.Input, s.Turns)
	return ids
}

// clean makes a model's word fit a text column and a log line.
func clean(s string, most int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// Package script is the plan of a run: what the model asks for, what goes
// wrong, and the right answer.
package script

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"windlass.dev/windlass/services/mock/internal/fault"
)

// Limits of a plan, so that a typing error does not use up the machine.
const (
	maxRounds   = 100_000
	maxWidth    = 10_000
	maxTokens   = 10_000_000
	MaxMillis   = 24 * 60 * 60 * 1000
	maxMentions = 16 // of "plan:" in one text
)

// Plan scripts one run: what the model asks for, how long everything takes and
// what goes wrong. The zero plan answers at once without a tool call.
type Plan struct {
	Seed   int64 `json:"seed" help:"names the run; results follow from it"`
	Rounds int   `json:"rounds,omitempty" help:"model turns that ask for tools"`
	Width  int   `json:"width,omitempty" help:"tool calls in a round" default:"1 if rounds is set"`

	Tool  string   `json:"tool,omitempty" help:"name of the tool" default:"mock_echo"`
	Tools []string `json:"tools,omitempty" help:"names by index, cycling; wins over tool"`

	ThinkMS   int `json:"think_ms,omitempty" help:"model time before the first byte, in ms"`
	ToolMS    int `json:"tool_ms,omitempty" help:"tool time, in ms"`
	SlowEvery int `json:"slow_every,omitempty" help:"each n-th call of the run takes slow_ms instead"`
	SlowMS    int `json:"slow_ms,omitempty" help:"time of a slow call, in ms"`
	ToolBytes int `json:"tool_bytes,omitempty" help:"least size of each tool result"`

	Tokens       int     `json:"tokens,omitempty" help:"words of the final text, if more than the answer has"`
	TokenRate    float64 `json:"token_rate,omitempty" help:"tokens a second of a stream" default:"0, at once"`
	FinishReason string  `json:"finish_reason,omitempty" help:"of the final answer; or failed" default:"stop"`
	// Stamp makes each token of a streamed final text the time at which it is
	// sent, in ns since 1970; not in a response, whose end repeats the text.
	Stamp     bool   `json:"stamp,omitempty" help:"each streamed token is the time it is sent at, in ns; in chat"`
	Text      string `json:"text,omitempty" help:"the final text" default:"follows from the run"`
	Reasoning string `json:"reasoning,omitempty" help:"of every turn; a response's next turn has to bring it back"`

	ModelFaults []fault.Fault `json:"model_faults,omitempty" help:"what goes wrong with the model; see below"`
	ToolFaults  []fault.Fault `json:"tool_faults,omitempty" help:"what goes wrong with tools; see below"`

	CallIDs        string `json:"call_ids,omitempty" help:"dup, empty or reuse" default:"unique ids"`
	RawArguments   string `json:"raw_arguments,omitempty" help:"arguments of every call, verbatim"`
	EmptyArguments bool   `json:"empty_arguments,omitempty" help:"arguments of every call are the empty string"`
	UnknownTool    string `json:"unknown_tool,omitempty" help:"called at index 0 of round 1, or of the only round"`
	CutToolCalls   bool   `json:"cut_tool_calls,omitempty" help:"rounds end by length, the last arguments cut in half"`
	Loop           bool   `json:"loop,omitempty" help:"never finish: ask for tools for ever"`

	// Child makes every call a sub-agent's: its arguments are {"input": …} with
	// the child's plan, under a seed of its own.
	Child *Plan `json:"child,omitempty" help:"every call carries this plan, as {\"input\": …}"`
}

// Prompt renders the plan as the text of a user message.
func (p Plan) Prompt() string {
	raw, err := json.Marshal(p)
	if err != nil { // a rate that is not a number
		panic(fmt.Sprintf("mock: plan %d does not encode: %v", p.Seed, err))
	}
	return "plan: " + string(raw)
}

// Parse finds the first plan in a text: "plan:" followed by a JSON object, and
// then any text. It returns false if there is no plan, or if its values are out
// of range.
func Parse(text string) (Plan, bool) {
	for range maxMentions {
		_, rest, found := strings.Cut(text, "plan:")
		if !found {
			return Plan{}, false
		}
		if p, err := decodePlan(rest); err == nil {
			return p, true
		}
		text = rest
	}
	return Plan{}, false
}

func decodePlan(text string) (Plan, error) {
	text = strings.TrimLeft(text, " \t\r\n")
	if !strings.HasPrefix(text, "{") {
		return Plan{}, fmt.Errorf("read plan: not an object")
	}
	var p Plan
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	return p, p.check()
}

func (p Plan) check() error {
	for _, limit := range []struct {
		name      string
		got, most int
	}{
		{"rounds", p.Rounds, maxRounds},
		{"width", p.Width, maxWidth},
		{"tokens", p.Tokens, maxTokens},
		{"think_ms", p.ThinkMS, MaxMillis},
		{"tool_ms", p.ToolMS, MaxMillis},
		{"slow_ms", p.SlowMS, MaxMillis},
		{"slow_every", p.SlowEvery, maxRounds * maxWidth},
		{"tool_bytes", p.ToolBytes, 1 << 30},
	} {
		if limit.got < 0 || limit.got > limit.most {
			return fmt.Errorf("plan's %s is %d, want 0 to %d", limit.name, limit.got, limit.most)
		}
	}
	if p.TokenRate < 0 {
		return fmt.Errorf("plan's token_rate is %g, want 0 or more", p.TokenRate)
	}
	switch p.CallIDs {
	case "", "dup", "empty", "reuse":
	default:
		return fmt.Errorf("plan's call_ids %q is unknown", p.CallIDs)
	}
	for _, f := range append(p.ModelFaults[:len(p.ModelFaults):len(p.ModelFaults)], p.ToolFaults...) {
		if err := f.Check(); err != nil {
			return err
		}
	}
	if p.Child != nil {
		return p.Child.check()
	}
	return nil
}

// CallsPerRound returns the number of tool calls in a round.
func (p Plan) CallsPerRound() int {
	if p.Width == 0 && (p.Rounds > 0 || p.Loop) {
		return 1
	}
	return p.Width
}

// ToolName returns the tool of the call at one place.
func (p Plan) ToolName(round, index int) string {
	switch {
	case p.unknownAt(round, index):
		return p.UnknownTool
	case len(p.Tools) > 0:
		return p.Tools[index%len(p.Tools)]
	case p.Tool != "":
		return p.Tool
	default:
		return "mock_echo"
	}
}

func (p Plan) unknownAt(round, index int) bool {
	return p.UnknownTool != "" && index == 0 && round == max(0, min(1, p.Rounds-1))
}

// CallID returns the id of the call at one place.
func (p Plan) CallID(round, index int) string {
	switch p.CallIDs {
	case "empty":
		return ""
	case "dup":
		return fmt.Sprintf("call_%d_%d", p.Seed, round)
	case "reuse":
		return fmt.Sprintf("call_%d", index)
	default:
		return fmt.Sprintf("call_%d_%d_%d", p.Seed, round, index)
	}
}

func (p Plan) toolTime(round, index int) int {
	if p.SlowEvery > 0 && (round*p.CallsPerRound()+index+1)%p.SlowEvery == 0 {
		return p.SlowMS
	}
	return p.ToolMS
}

// ThinkTime returns the model time before the first byte.
func (p Plan) ThinkTime() time.Duration { return time.Duration(p.ThinkMS) * time.Millisecond }

// child returns the plan of the sub-agent at one place, with a seed that no
// other place has.
func (p Plan) child(round, index int) Plan {
	c := *p.Child
	c.Seed = int64(Value(p.Seed, round, index))
	return c
}

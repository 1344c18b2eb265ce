package mock

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Limits on what a plan may ask for, so that a typing error in one does not
// take the machine.
const (
	maxRounds   = 100_000
	maxWidth    = 10_000
	maxTokens   = 10_000_000
	maxMillis   = 24 * 60 * 60 * 1000
	maxMentions = 16 // occurrences of "plan:" looked at in one text
)

// Plan scripts one run: what the model asks for, how long everything takes and
// what goes wrong. The zero plan answers at once without asking for a tool.
type Plan struct {
	Seed   int64 `json:"seed"`
	Rounds int   `json:"rounds,omitempty"` // model turns that ask for tools
	Width  int   `json:"width,omitempty"`  // tool calls a round; 1 when rounds is set and width is not

	Tool  string   `json:"tool,omitempty"`  // name of the tool; mock_echo when empty
	Tools []string `json:"tools,omitempty"` // names by index, cycling; wins over Tool

	ThinkMS   int `json:"think_ms,omitempty"`   // model time before the first byte
	ToolMS    int `json:"tool_ms,omitempty"`    // tool time
	SlowEvery int `json:"slow_every,omitempty"` // each n-th call of the run takes SlowMS instead
	SlowMS    int `json:"slow_ms,omitempty"`
	ToolBytes int `json:"tool_bytes,omitempty"` // least size of each tool result

	Tokens       int     `json:"tokens,omitempty"`        // words of the final text, if more than the answer has
	TokenRate    float64 `json:"token_rate,omitempty"`    // tokens a second when streaming; 0 is at once
	FinishReason string  `json:"finish_reason,omitempty"` // of the final answer, instead of "stop"; a response can be "failed", too
	Stamp        bool    `json:"stamp,omitempty"`         // each token of a streamed final text is the time it is sent at, in ns since 1970; not in a response, whose end repeats it
	Text         string  `json:"text,omitempty"`          // final text, instead of the answer
	Reasoning    string  `json:"reasoning,omitempty"`     // reasoning of every turn; in a response, the next turn has to bring it back

	ModelFaults []Fault `json:"model_faults,omitempty"`
	ToolFaults  []Fault `json:"tool_faults,omitempty"`

	CallIDs        string `json:"call_ids,omitempty"`        // "dup", "empty" or "reuse"; unique when not set
	RawArguments   string `json:"raw_arguments,omitempty"`   // arguments of every call, verbatim
	EmptyArguments bool   `json:"empty_arguments,omitempty"` // arguments of every call are the empty string
	UnknownTool    string `json:"unknown_tool,omitempty"`    // name asked for at index 0 of round 1, or of round 0 if it is the only one
	CutToolCalls   bool   `json:"cut_tool_calls,omitempty"`  // rounds end by "length", the last call's arguments cut in half
	Loop           bool   `json:"loop,omitempty"`            // never finish: ask for tools for ever

	// Child makes every call a sub-agent's: its arguments are {"input": …} with
	// the child's own plan, each under a seed of its own.
	Child *Plan `json:"child,omitempty"`
}

// Fault is one thing that goes wrong. The first fault of a list that matches the
// round, the index and the attempt is the one that happens.
type Fault struct {
	Round int `json:"round"`           // model round from 0; -1 for any
	Index int `json:"index"`           // tool call in the round from 0; -1 for any; not looked at for models
	Times int `json:"times,omitempty"` // first attempts that fail; 0 for all

	// Status is the HTTP status: 500 when not set and Mode is empty, 307 for a
	// redirect, else 200.
	Status     int    `json:"status,omitempty"`
	RetryAfter string `json:"retry_after,omitempty"` // the header, verbatim

	// Mode is how it fails:
	//
	//	""        answer Status with Body, or with an API error
	//	hang      send nothing until the client leaves
	//	reset     reset the connection after Bytes bytes of the reply, or before any
	//	malformed a reply that is not JSON
	//	truncate  half of the reply: a JSON reply breaks off, a stream ends without [DONE]
	//	empty     no choices, or no body
	//	html      an error page
	//	nul       the right reply, with a NUL in its text
	//	big       the right reply, made Bytes long (10 MB; -1: endless, tools only)
	//	drip      the right reply, Bytes bytes a second (1)
	//	redirect  to Body, or to itself
	//	binary    Bytes bytes that are not text (256)
	//	headers   the right reply, with Bytes of headers (64 kB) and cookies
	Mode  string `json:"mode,omitempty"`
	Body  string `json:"body,omitempty"` // instead of what the mode would send
	Bytes int    `json:"bytes,omitempty"`
}

// Prompt renders the plan as the text of a user message.
func (p Plan) Prompt() string {
	raw, err := json.Marshal(p)
	if err != nil { // only a rate that is no number gets here
		panic(fmt.Sprintf("mock: plan %d does not encode: %v", p.Seed, err))
	}
	return "plan: " + string(raw)
}

// ParsePlan finds the first plan in a text: "plan:" followed by a JSON object.
// What follows the object is not looked at. It reports false if there is none
// or if it asks for what no plan may.
func ParsePlan(text string) (Plan, bool) {
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
		{"think_ms", p.ThinkMS, maxMillis},
		{"tool_ms", p.ToolMS, maxMillis},
		{"slow_ms", p.SlowMS, maxMillis},
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
		if err := f.check(); err != nil {
			return err
		}
	}
	if p.Child != nil {
		return p.Child.check()
	}
	return nil
}

func (p Plan) width() int {
	if p.Width == 0 && (p.Rounds > 0 || p.Loop) {
		return 1
	}
	return p.Width
}

func (p Plan) toolName(round, index int) string {
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

func (p Plan) callID(round, index int) string {
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
	if p.SlowEvery > 0 && (round*p.width()+index+1)%p.SlowEvery == 0 {
		return p.SlowMS
	}
	return p.ToolMS
}

func (p Plan) thinkTime() time.Duration { return time.Duration(p.ThinkMS) * time.Millisecond }

// child is the plan of the sub-agent called at one place, under a seed that no
// other place has.
func (p Plan) child(round, index int) Plan {
	c := *p.Child
	c.Seed = int64(value(p.Seed, round, index))
	return c
}

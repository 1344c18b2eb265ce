// Package model is a model call in neutral form: what is asked, what is answered, and how it is told while it is being said. The
// dialects of upstreams translate to and from it. It calls nobody.
package model

import (
	"encoding/json"
	"errors"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/internal/transcript"
)

var (
	// ErrUnsupported says that the request holds something that the upstream's dialect cannot carry.
	ErrUnsupported = errors.New("not supported by this model's upstream")
	// ErrMalformed says that the upstream's answer cannot be understood; another attempt may do better.
	ErrMalformed = errors.New("the upstream's answer is malformed")
	// ErrBrokenOff says that the answer ended before it was complete; another attempt may do better.
	ErrBrokenOff = errors.New("the upstream broke off its answer")
)

// Call is everything one model call is made of.
type Call struct {
	Model     string // the upstream's name
	Request   *responses.Create
	Ancestors []transcript.Ancestor // oldest first
	Turns     []transcript.Turn
	Tools     []toolset.Offer
	Choice    tool.Choice
	MaxTokens *int // what is left of the request's max_output_tokens; nil: no bound
	Stream    bool // the answer is wanted piece by piece
	NoSeal    bool // the upstream refuses to be asked for sealed reasoning
	// Origin is the upstream's registry.Upstream.Origin: what a turn's Own holds
	// is sent back only where the turn's Origin is the same.
	Origin string
	// Settings are the upstream's, complete.
	Settings registry.Settings
}

// Finish is why the model stopped.
type Finish string

// The reasons that matter; everything else an upstream says is Other.
const (
	Stopped  Finish = "stop"
	Length   Finish = "length"
	Filtered Finish = "content_filter"
	Other    Finish = "other"
)

// Answer is what one model call said, in the order in which it said it.
type Answer struct {
	Outputs []Output
	Finish  Finish
	Usage   responses.Usage
}

// Kind is what an output is.
type Kind int

// The kinds of outputs.
const (
	Message   Kind = iota + 1
	Reasoning      // what the model thought
	Function       // a call of a tool
	Custom         // a call of a custom tool, whose arguments are any text
)

// Output is one thing a model said. Only the fields of its kind are set.
type Output struct {
	Kind      Kind
	Parts     []item.Part // of a message: output_text and refusal
	Phase     string      // of a message: what it is for, if the upstream says it
	Reasoning item.Reasoning
	Call      ToolCall
	// Own is what the upstream attached to this output and what has no place in
	// the neutral form: a JSON object that only the dialect reads. It goes back
	// to the same upstream with the output. nil if there is nothing.
	Own json.RawMessage
}

// ToolCall is one call the model asks for, with its id and arguments as it wrote them.
type ToolCall struct {
	ID        string
	Space     string // the namespace that the name is of, if any
	Name      string
	Arguments string
}

// Delta is a piece of an answer. The first delta of an output opens it; outputs are opened in their order.
type Delta struct {
	Output int
	Kind   Kind
	Part   int       // of a message's content, or of a reasoning's summary or content
	Piece  item.Part // Text and Type: output_text, refusal, reasoning_text, summary_text; Type is empty where there is no text
	Call   ToolCall  // ID, Space and Name with the first delta of a call, Arguments the next piece of them
	Closed bool      // nothing of this output follows
}

// Listen hears an answer while it is being said. It does not wait.
type Listen func(Delta)

// CallError is run.Failure, for users that are not converted yet.
type CallError = run.Failure

// Package model is a model call in neutral form: the call, its answer, and the
// pieces of an answer that is streamed. The dialects of upstreams translate to
// and from it. It does no I/O.
package model

import (
	"encoding/json"
	"errors"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/internal/transcript"
)

var (
	// ErrUnsupported says that the upstream's dialect cannot express a part of
	// the request.
	ErrUnsupported = errors.New("not supported by this model's upstream")
	// ErrMalformed says that the upstream's answer cannot be read; another
	// attempt may do better.
	ErrMalformed = errors.New("the upstream's answer is malformed")
	// ErrBrokenOff says that the answer ended before it was complete; another
	// attempt may do better.
	ErrBrokenOff = errors.New("the upstream broke off its answer")
)

// Call is one model call.
type Call struct {
	Model     string // as the upstream names it
	Request   *responses.Create
	Ancestors []transcript.Ancestor // oldest first
	Turns     []transcript.Turn
	Tools     []toolset.Offer
	Choice    tool.Choice
	MaxTokens *int // what is left of the request's max_output_tokens; nil if it has none
	Stream    bool // the answer is to come in pieces
	NoSeal    bool // the upstream refuses requests for encrypted reasoning
	// Origin is the upstream's registry.Upstream.Origin: a turn's Own is sent
	// back only to the same Origin.
	Origin string
	// Settings are the upstream's, with defaults filled in.
	Settings registry.Settings
}

// Finish is why the model stopped.
type Finish string

// The reasons that Windlass distinguishes; any other is Other.
const (
	Stopped  Finish = "stop"
	Length   Finish = "length"
	Filtered Finish = "content_filter"
	Other    Finish = "other"
)

// Answer is the answer of one model call, in the order of the model's outputs.
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
	Reasoning      // of the model, as text or encrypted
	Function       // a call of a tool
	Custom         // a call of a custom tool, whose arguments are any text
)

// Output is one part of an answer. Only the fields of its kind are set.
type Output struct {
	Kind      Kind
	Parts     []item.Part // of a message: output_text and refusal
	Phase     string      // of a message: its purpose, if the upstream names one
	Reasoning item.Reasoning
	Call      ToolCall
	// Own is what the upstream attached to this output and the neutral form
	// cannot express: a JSON object that only the dialect reads. It goes back
	// to the same upstream with the output. nil if absent.
	Own json.RawMessage
}

// ToolCall is one call of a tool, with its id and arguments as the model wrote
// them.
type ToolCall struct {
	ID        string
	Space     string // the namespace of the name, or empty
	Name      string
	Arguments string
}

// Delta is a piece of an answer. The first delta of an output opens it, and
// outputs are opened in order.
type Delta struct {
	Output int
	Kind   Kind
	Part   int // of a message's content, or of a reasoning's summary or content
	// Piece has the Text and its Type: output_text, refusal, reasoning_text or
	// summary_text. Type is empty if the piece has no text.
	Piece  item.Part
	Call   ToolCall // ID, Space and Name with the first delta of a call, Arguments the next piece of them
	Closed bool     // the output is complete
}

// Listen takes the pieces of an answer as they come. It must not block.
type Listen func(Delta)

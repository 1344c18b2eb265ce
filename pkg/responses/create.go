package responses

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/responses/tool"
)

// Create is the body of POST /v1/responses. An empty string and a nil pointer
// stand for an absent field; Store and Generate default to true.
type Create struct {
	Model              string
	Input              []item.Item // a plain string became one user message
	Instructions       string
	PreviousResponseID string
	Conversation       string // its id
	Background         bool
	Store              bool
	Stream             bool
	IncludeObfuscation *bool // of stream_options
	Generate           bool  // WebSocket only: false asks for a warm-up

	Tools             []tool.Tool
	ToolChoice        tool.Choice
	ParallelToolCalls *bool
	MaxToolCalls      *int

	MaxOutputTokens  *int
	Temperature      *float64
	TopP             *float64
	PresencePenalty  *float64
	FrequencyPenalty *float64
	TopLogprobs      *int
	Truncation       string
	// CompactThreshold is the number of tokens from which the history is
	// compacted, from context_management; 0 if it never is.
	CompactThreshold int
	Text             Text
	Reasoning        Reasoning

	Metadata         map[string]string
	Include          []string
	ServiceTier      string
	User             string
	SafetyIdentifier string
	PromptCacheKey   string

	// Extra holds every other field that is not null, as sent: hints like
	// prompt_cache_options, fields that Refusal checks, client_metadata and
	// unknown fields.
	Extra map[string]json.RawMessage

	reasoning raw.Value // as sent
}

// Reasoning says how much the model thinks, and what the answer shows of it.
type Reasoning struct {
	Effort  string
	Summary string
	Mode    string // standard or pro
	Context string // auto, current_turn or all_turns: what it is shown of earlier reasoning
}

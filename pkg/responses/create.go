package responses

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/responses/tool"
)

// Create is the body of POST /v1/responses. An empty string and a nil pointer
// are a field that was not given; Store and Generate are true if not given.
type Create struct {
	Model              string
	Input              []item.Item // a plain string became one user message
	Instructions       string
	PreviousResponseID string
	Conversation       string // the id
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
	// CompactThreshold is how many tokens the model may be shown before the
	// history is compacted, of context_management; 0: it never is.
	CompactThreshold int
	Text             Text
	Reasoning        Reasoning

	Metadata         map[string]string
	Include          []string
	ServiceTier      string
	User             string
	SafetyIdentifier string
	PromptCacheKey   string

	// Extra is every other field that was not null, as it was sent: hints like
	// prompt_cache_options, what Refusal knows, client_metadata and what is
	// unknown.
	Extra map[string]json.RawMessage

	reasoning raw.Value // as it was sent
}

// Reasoning is how much the model should think, and what it should tell of it.
type Reasoning struct {
	Effort  string
	Summary string
	Mode    string // standard or pro
	Context string // auto, current_turn or all_turns: what it is shown of earlier reasoning
}

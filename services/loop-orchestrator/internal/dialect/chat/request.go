// Package chat speaks the chat-completions dialect: it turns a request and its turns into an upstream's request, and reads the
// upstream's answer, whole or in chunks. It knows neither SQL nor NATS.
//
// It is liberal with what an upstream sends. Answers are read member by member,
// and a member that makes no sense is passed over (TestOddMembers, TestUsage).
// Calls are told apart by id, then by index, then by a new name; what comes
// twice counts once (TestCallsOfAStream). A reason of another API, or of none,
// ends a whole answer, but a call that was cut is not run (TestEnds), and a
// failure of the provider fails the call, however it is told (TestFailures).
//
// It is exact with what it sends. What an upstream attached to an answer (its
// ids of calls, what the model thought, members that are not known here) goes
// back with the turn to the same upstream, and to no other, up to 1 MiB a turn
// (TestWhatIsAttachedGoesBack, TestAttachedIsBounded). A message that says
// nothing is left out or says so in words (TestHistory), and each turn's
// messages begin with the bytes of the turn before (TestMessagesBeginAsBefore).
//
// Decision: a whole answer is read as a stream of one chunk, so that there is
// one set of rules. Rejected: encoding/json into structs, which throws an answer
// away for one member of another type.
package chat

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Dialect is the chat-completions dialect.
type Dialect struct{}

// Path is the endpoint's.
func (Dialect) Path() string { return "/chat/completions" }

type request struct {
	Model             string          `json:"model"`
	Messages          []any           `json:"messages"`
	Tools             []function      `json:"tools,omitempty"`
	ToolChoice        any             `json:"tool_choice,omitempty"`
	ParallelToolCalls *bool           `json:"parallel_tool_calls,omitempty"`
	Temperature       *float64        `json:"temperature,omitempty"`
	TopP              *float64        `json:"top_p,omitempty"`
	PresencePenalty   *float64        `json:"presence_penalty,omitempty"`
	FrequencyPenalty  *float64        `json:"frequency_penalty,omitempty"`
	MaxTokens         *int            `json:"max_completion_tokens,omitempty"`
	Logprobs          bool            `json:"logprobs,omitempty"`
	TopLogprobs       *int            `json:"top_logprobs,omitempty"`
	ResponseFormat    *responseFormat `json:"response_format,omitempty"`
	ReasoningEffort   string          `json:"reasoning_effort,omitempty"`
	Verbosity         string          `json:"verbosity,omitempty"`
	ServiceTier       string          `json:"service_tier,omitempty"`
	User              string          `json:"user,omitempty"`
	SafetyIdentifier  string          `json:"safety_identifier,omitempty"`
	PromptCacheKey    string          `json:"prompt_cache_key,omitempty"`
	Stream            bool            `json:"stream,omitempty"`
	StreamOptions     *streamOptions  `json:"stream_options,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type function struct {
	Type     string       `json:"type"`
	Function functionBody `json:"function"`
}

type functionBody struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Strict      *bool           `json:"strict,omitempty"`
}

type responseFormat struct {
	Type   string      `json:"type"`
	Schema *jsonSchema `json:"json_schema,omitempty"`
}

type jsonSchema struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema"`
	Strict      *bool           `json:"strict,omitempty"`
}

// Encode is the body of POST /chat/completions. model.ErrUnsupported names what cannot be carried.
func (Dialect) Encode(c model.Call) ([]byte, error) {
	messages, err := messages(c)
	if err != nil {
		return nil, err
	}
	r := c.Request
	out := request{
		Model: c.Model, Messages: wire(messages),
		Temperature: r.Temperature, TopP: r.TopP, PresencePenalty: r.PresencePenalty, FrequencyPenalty: r.FrequencyPenalty,
		MaxTokens: c.MaxTokens, Logprobs: r.TopLogprobs != nil || slices.Contains(r.Include, responses.IncludeLogprobs), TopLogprobs: r.TopLogprobs,
		ResponseFormat: format(r.Text), ReasoningEffort: r.Reasoning.Effort, Verbosity: r.Text.Verbosity,
		ServiceTier: r.ServiceTier, User: r.User, SafetyIdentifier: r.SafetyIdentifier, PromptCacheKey: r.PromptCacheKey,
	}
	for _, t := range c.Tools {
		out.Tools = append(out.Tools, function{Type: "function", Function: functionBody{
			Name: t.Name, Description: t.Description, Parameters: t.Parameters, Strict: t.Strict,
		}})
	}
	if len(out.Tools) > 0 {
		out.ToolChoice, out.ParallelToolCalls = choice(c.Choice), r.ParallelToolCalls
	}
	if c.Stream {
		out.Stream, out.StreamOptions = true, &streamOptions{IncludeUsage: true}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode the upstream request: %w", err)
	}
	return b, nil
}

func choice(c tool.Choice) any {
	if c.Tool != nil && c.Tool.Name != "" {
		return map[string]any{"type": "function", "function": map[string]string{"name": c.Tool.Name}}
	}
	if c.Tool != nil {
		return "required" // a whole server was named: any of its tools, and only those are offered
	}
	if c.Mode == "" {
		return nil
	}
	return c.Mode
}

func format(t responses.Text) *responseFormat {
	switch t.Format {
	case "json_object":
		return &responseFormat{Type: t.Format}
	case "json_schema":
		return &responseFormat{Type: t.Format, Schema: &jsonSchema{
			Name: t.Name, Description: t.Description, Schema: t.Schema, Strict: t.Strict,
		}}
	}
	return nil
}

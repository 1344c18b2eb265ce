package responsesapi

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// leastTokens is the smallest max_output_tokens that OpenAI's API takes.
const leastTokens = 16

// request has every parameter that is an upstream's to honour. Not among them: metadata and conversations, which are kept here;
// max_tool_calls, which counts the calls that are made here; and background, which is what this project is for.
type request struct {
	Model             string          `json:"model"`
	Instructions      string          `json:"instructions,omitempty"`
	Input             []members       `json:"input"`
	Store             bool            `json:"store"` // false
	Stream            bool            `json:"stream,omitempty"`
	Include           []string        `json:"include,omitempty"`
	Tools             []any           `json:"tools,omitempty"`
	ToolChoice        any             `json:"tool_choice,omitempty"`
	ParallelToolCalls *bool           `json:"parallel_tool_calls,omitempty"`
	Temperature       *float64        `json:"temperature,omitempty"`
	TopP              *float64        `json:"top_p,omitempty"`
	PresencePenalty   *float64        `json:"presence_penalty,omitempty"`
	FrequencyPenalty  *float64        `json:"frequency_penalty,omitempty"`
	MaxTokens         *int            `json:"max_output_tokens,omitempty"`
	TopLogprobs       *int            `json:"top_logprobs,omitempty"`
	Truncation        string          `json:"truncation,omitempty"`
	Text              *text           `json:"text,omitempty"`
	Reasoning         *reasoning      `json:"reasoning,omitempty"`
	ServiceTier       string          `json:"service_tier,omitempty"`
	User              string          `json:"user,omitempty"`
	SafetyIdentifier  string          `json:"safety_identifier,omitempty"`
	PromptCacheKey    string          `json:"prompt_cache_key,omitempty"`
	CacheRetention    json.RawMessage `json:"prompt_cache_retention,omitempty"`
	CacheOptions      json.RawMessage `json:"prompt_cache_options,omitempty"`
}

// function is a tool of the client's or of the registry's. All of it but the description is required.
type function struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"` // where nothing is said OpenAI's API takes it for true, and refuses schemas that are not made for it
}

type text struct {
	Format    *format `json:"format,omitempty"`
	Verbosity string  `json:"verbosity,omitempty"`
}

type format struct {
	Type        string          `json:"type"`
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
	Strict      *bool           `json:"strict,omitempty"`
}

type reasoning struct {
	Effort  string `json:"effort,omitempty"`
	Summary string `json:"summary,omitempty"`
	Mode    string `json:"mode,omitempty"`
	Context string `json:"context,omitempty"`
}

// Encode is the body of POST /responses. model.ErrUnsupported names what cannot be carried.
func (Dialect) Encode(c model.Call) ([]byte, error) {
	input, err := history(c)
	if err != nil {
		return nil, err
	}
	r := c.Request
	out := request{
		Model: c.Model, Instructions: r.Instructions, Input: input, Stream: c.Stream, Include: include(c),
		Temperature: r.Temperature, TopP: r.TopP, PresencePenalty: r.PresencePenalty, FrequencyPenalty: r.FrequencyPenalty,
		TopLogprobs: r.TopLogprobs, Truncation: r.Truncation, Text: form(r.Text), ServiceTier: r.ServiceTier, User: r.User,
		SafetyIdentifier: r.SafetyIdentifier, PromptCacheKey: r.PromptCacheKey,
		CacheRetention: r.Extra["prompt_cache_retention"], CacheOptions: cacheOptions(r),
	}
	if c.MaxTokens != nil {
		out.MaxTokens = new(max(*c.MaxTokens, leastTokens))
	}
	if r.Reasoning != (responses.Reasoning{}) {
		out.Reasoning = (*reasoning)(&r.Reasoning)
	}
	for _, t := range c.Tools {
		if t.Given != nil {
			out.Tools = append(out.Tools, t.Given)
			continue
		}
		out.Tools = append(out.Tools, function{
			Type: tool.Function, Name: t.Name, Description: t.Description, Parameters: t.Parameters, Strict: t.Strict != nil && *t.Strict,
		})
	}
	if len(out.Tools) > 0 {
		out.ToolChoice, out.ParallelToolCalls = choice(c.Choice), r.ParallelToolCalls
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode the upstream request: %w", err)
	}
	return b, nil
}

// include asks for what has to come back: sealed reasoning, wanted by the client or not, because the next turn takes it along.
func include(c model.Call) []string {
	var all []string
	if !c.NoSeal {
		all = append(all, responses.IncludeReasoning)
	}
	if slices.Contains(c.Request.Include, responses.IncludeLogprobs) {
		all = append(all, responses.IncludeLogprobs)
	}
	return all
}

func choice(c tool.Choice) any {
	switch {
	case c.Tool != nil && c.Tool.Type == "custom":
		return map[string]string{"type": c.Tool.Type, "name": c.Tool.Name}
	case c.Tool != nil && c.Tool.Name != "":
		return map[string]string{"type": tool.Function, "name": c.Tool.Name}
	case c.Tool != nil:
		return "required" // a whole server was named: any of its tools, and only those are offered
	case c.Mode == "":
		return nil
	}
	return c.Mode
}

func form(t responses.Text) *text {
	out := text{Verbosity: t.Verbosity}
	switch t.Format {
	case "json_object":
		out.Format = &format{Type: t.Format}
	case "json_schema":
		out.Format = &format{Type: t.Format, Name: t.Name, Description: t.Description, Schema: t.Schema, Strict: t.Strict}
	}
	if out == (text{}) {
		return nil
	}
	return &out
}

// cacheOptions leaves out the response to compare with: the upstream does not know ours.
func cacheOptions(r *responses.Create) json.RawMessage {
	var options members
	if json.Unmarshal(r.Extra["prompt_cache_options"], &options) != nil {
		return nil // there are none; what is no object was refused
	}
	delete(options, "comparison_response_id")
	return options.json()
}

// Package params has the request parameters that chat completions and the
// Responses API spell alike.
package params

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Params is embedded in a dialect's request.
type Params struct {
	Model             string   `json:"model"`
	Stream            bool     `json:"stream,omitempty"`
	ToolChoice        any      `json:"tool_choice,omitempty"`
	ParallelToolCalls *bool    `json:"parallel_tool_calls,omitempty"`
	Temperature       *float64 `json:"temperature,omitempty"`
	TopP              *float64 `json:"top_p,omitempty"`
	PresencePenalty   *float64 `json:"presence_penalty,omitempty"`
	FrequencyPenalty  *float64 `json:"frequency_penalty,omitempty"`
	TopLogprobs       *int     `json:"top_logprobs,omitempty"`
	ServiceTier       string   `json:"service_tier,omitempty"`
	User              string   `json:"user,omitempty"`
	SafetyIdentifier  string   `json:"safety_identifier,omitempty"`
	PromptCacheKey    string   `json:"prompt_cache_key,omitempty"`
}

// Of returns the parameters of a call. force encodes a tool_choice that names
// one tool. Both parameters about tools are left out if none are offered,
// because servers refuse them then.
func Of(c model.Call, force func(tool.Ref) any) Params {
	r := c.Request
	p := Params{
		Model: c.Model, Stream: c.Stream, Temperature: r.Temperature, TopP: r.TopP, PresencePenalty: r.PresencePenalty,
		FrequencyPenalty: r.FrequencyPenalty, TopLogprobs: r.TopLogprobs, ServiceTier: r.ServiceTier, User: r.User,
		SafetyIdentifier: r.SafetyIdentifier, PromptCacheKey: r.PromptCacheKey,
	}
	if len(c.Tools) > 0 {
		p.ToolChoice, p.ParallelToolCalls = toolChoice(c.Choice, force), r.ParallelToolCalls
	}
	return p
}

func toolChoice(c tool.Choice, force func(tool.Ref) any) any {
	switch {
	case c.Tool != nil && c.Tool.Name != "":
		return force(*c.Tool)
	case c.Tool != nil:
		return "required" // it names a whole server, and only that server's tools are offered
	case c.Mode == "":
		return nil
	}
	return c.Mode
}

// Schema is the JSON schema that the answer's text has to match.
type Schema struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema"`
	Strict      *bool           `json:"strict,omitempty"`
}

// SchemaOf returns the schema of a text format; nil if the format is another.
func SchemaOf(t responses.Text) *Schema {
	if t.Format != "json_schema" {
		return nil
	}
	return &Schema{Name: t.Name, Description: t.Description, Schema: t.Schema, Strict: t.Strict}
}

package chat

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/params"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Dialect is the chat-completions dialect.
type Dialect struct{}

// Path returns the path of the endpoint.
func (Dialect) Path() string { return "/chat/completions" }

type request struct {
	params.Params

	Messages        []any           `json:"messages"`
	Tools           []function      `json:"tools,omitempty"`
	MaxTokens       *int            `json:"max_completion_tokens,omitempty"`
	Logprobs        bool            `json:"logprobs,omitempty"`
	ResponseFormat  *responseFormat `json:"response_format,omitempty"`
	ReasoningEffort string          `json:"reasoning_effort,omitempty"`
	Verbosity       string          `json:"verbosity,omitempty"`
	StreamOptions   *streamOptions  `json:"stream_options,omitempty"`
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
	Type   string         `json:"type"`
	Schema *params.Schema `json:"json_schema,omitempty"`
}

// Encode returns the body of POST /chat/completions, or an error that wraps
// model.ErrUnsupported and names what chat completions cannot express.
func (Dialect) Encode(c model.Call) ([]byte, error) {
	messages, err := encodeHistory(c)
	if err != nil {
		return nil, err
	}
	r := c.Request
	out := request{
		Params: params.Of(c, forceFunction), Messages: marshalable(messages), MaxTokens: c.MaxTokens,
		Logprobs:       r.TopLogprobs != nil || slices.Contains(r.Include, responses.IncludeLogprobs),
		ResponseFormat: newResponseFormat(r.Text), ReasoningEffort: r.Reasoning.Effort, Verbosity: r.Text.Verbosity,
	}
	for _, t := range c.Tools {
		out.Tools = append(out.Tools, function{Type: "function", Function: functionBody{
			Name: t.Name, Description: t.Description, Parameters: t.Parameters, Strict: t.Strict,
		}})
	}
	if c.Stream {
		out.StreamOptions = &streamOptions{IncludeUsage: true}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode the upstream request: %w", err)
	}
	return b, nil
}

func forceFunction(t tool.Ref) any {
	return map[string]any{"type": "function", "function": map[string]string{"name": t.Name}}
}

func newResponseFormat(t responses.Text) *responseFormat {
	switch t.Format {
	case "json_object", "json_schema":
		return &responseFormat{Type: t.Format, Schema: params.SchemaOf(t)}
	}
	return nil
}

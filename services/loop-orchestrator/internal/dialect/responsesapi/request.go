package responsesapi

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/params"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Dialect is the Responses dialect.
type Dialect struct{}

// Path returns the path of the endpoint.
func (Dialect) Path() string { return "/responses" }

// minTokens is the smallest max_output_tokens that OpenAI accepts.
const minTokens = 16

// request has each parameter that the upstream has to honour. Windlass itself
// handles the others: metadata, conversations, max_tool_calls and background.
type request struct {
	params.Params

	Instructions   string          `json:"instructions,omitempty"`
	Input          []members       `json:"input"`
	Store          bool            `json:"store"` // always false
	Include        []string        `json:"include,omitempty"`
	Tools          []any           `json:"tools,omitempty"`
	MaxTokens      *int            `json:"max_output_tokens,omitempty"`
	Truncation     string          `json:"truncation,omitempty"`
	Text           *text           `json:"text,omitempty"`
	Reasoning      *reasoning      `json:"reasoning,omitempty"`
	CacheRetention json.RawMessage `json:"prompt_cache_retention,omitempty"`
	CacheOptions   json.RawMessage `json:"prompt_cache_options,omitempty"`
}

// function is a tool of the client or of the registry. All members except the
// description are required.
type function struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	// OpenAI's default is true, and it then refuses schemas that do not follow
	// the rules of strict mode.
	Strict bool `json:"strict"`
}

type text struct {
	Format    *format `json:"format,omitempty"`
	Verbosity string  `json:"verbosity,omitempty"`
}

type format struct {
	Type string `json:"type"`

	*params.Schema
}

type reasoning struct {
	Effort  string `json:"effort,omitempty"`
	Summary string `json:"summary,omitempty"`
	Mode    string `json:"mode,omitempty"`
	Context string `json:"context,omitempty"`
}

// Encode returns the body of POST /responses, or an error that wraps
// model.ErrUnsupported and names what cannot be sent.
func (Dialect) Encode(c model.Call) ([]byte, error) {
	input, err := encodeHistory(c)
	if err != nil {
		return nil, err
	}
	r := c.Request
	out := request{
		Params: params.Of(c, forceTool), Instructions: r.Instructions, Input: input, Include: newInclude(c),
		Truncation: r.Truncation, Text: newText(r.Text),
		CacheRetention: r.Extra["prompt_cache_retention"], CacheOptions: newCacheOptions(r),
	}
	if c.MaxTokens != nil {
		out.MaxTokens = new(max(*c.MaxTokens, minTokens))
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
			Type: tool.Function, Name: t.Name, Description: t.Description, Parameters: t.Parameters,
			Strict: t.Strict != nil && *t.Strict,
		})
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode the upstream request: %w", err)
	}
	return b, nil
}

// newInclude asks for encrypted reasoning even if the client does not want it,
// because the next turn sends it back.
func newInclude(c model.Call) []string {
	var all []string
	if !c.NoSeal {
		all = append(all, responses.IncludeReasoning)
	}
	if slices.Contains(c.Request.Include, responses.IncludeLogprobs) {
		all = append(all, responses.IncludeLogprobs)
	}
	return all
}

func forceTool(t tool.Ref) any {
	typ := tool.Function
	if t.Type == "custom" {
		typ = t.Type
	}
	return map[string]string{"type": typ, "name": t.Name}
}

func newText(t responses.Text) *text {
	out := text{Verbosity: t.Verbosity}
	switch t.Format {
	case "json_object", "json_schema":
		out.Format = &format{Type: t.Format, Schema: params.SchemaOf(t)}
	}
	if out == (text{}) {
		return nil
	}
	return &out
}

// newCacheOptions drops comparison_response_id, because the upstream does not
// know the ids of Windlass.
func newCacheOptions(r *responses.Create) json.RawMessage {
	var options members
	if json.Unmarshal(r.Extra["prompt_cache_options"], &options) != nil {
		return nil // absent: the gateway has refused any other type
	}
	delete(options, "comparison_response_id")
	return options.json()
}

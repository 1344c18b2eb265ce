package responsesapi

import (
	"encoding/json"
	"fmt"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// countedParams are the parameters that the endpoint accepts: what the model is
// shown, and what changes how.
var countedParams = []string{
	"model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "truncation",
}

// CountPath returns the path of the endpoint that counts the tokens of an
// input.
func (Dialect) CountPath() string { return "/responses/input_tokens" }

// EncodeCount returns the body of POST /responses/input_tokens for a call, or
// an error that wraps model.ErrUnsupported.
func (d Dialect) EncodeCount(c model.Call) ([]byte, error) {
	body, err := d.Encode(c)
	if err != nil {
		return nil, err
	}
	var all members
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("read the upstream request: %w", err)
	}
	out := members{}
	for _, name := range countedParams {
		if v, ok := all[name]; ok {
			out[name] = v
		}
	}
	return out.json(), nil
}

// DecodeCount reads the number of tokens. Its error wraps model.ErrMalformed.
func (Dialect) DecodeCount(body []byte) (int64, error) {
	var answer struct {
		Tokens *int64 `json:"input_tokens"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("%w: %d bytes: %w", model.ErrMalformed, len(body), err)
	}
	if answer.Tokens == nil || *answer.Tokens < 0 {
		return 0, fmt.Errorf("%w: it has no input_tokens", model.ErrMalformed)
	}
	return *answer.Tokens, nil
}

package responsesapi

import (
	"encoding/json"
	"fmt"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// CountPath is the endpoint's that counts the tokens of an input.
const CountPath = "/responses/input_tokens"

// shown are the fields of a call that a model is shown, or that change how: all that the endpoint takes.
var shown = []string{
	"model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "truncation",
}

// EncodeCount is the body of POST /responses/input_tokens for a call. model.ErrUnsupported names what cannot be carried.
func EncodeCount(c model.Call) ([]byte, error) {
	body, err := Dialect{}.Encode(c)
	if err != nil {
		return nil, err
	}
	var all members
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("read the upstream request: %w", err)
	}
	out := members{}
	for _, name := range shown {
		if v, ok := all[name]; ok {
			out[name] = v
		}
	}
	return out.json(), nil
}

// DecodeCount reads the answer. model.ErrMalformed: it is none.
func DecodeCount(body []byte) (int64, error) {
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

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"windlass.dev/windlass/services/mock"
)

// DirectKey starts the idempotency keys of the plain loop. It separates the
// loop's calls in the ledger from those of the services.
const DirectKey = "direct-"

// Direct is the baseline: a loop that calls the model and the tools, the calls
// of a round in parallel, and stores nothing.
type Direct struct {
	Mock string // base URL of the scripted model and tools
	HTTP *http.Client
}

type message struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
}

type toolCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type chatRequest struct {
	Model    string          `json:"model"`
	Messages []message       `json:"messages"`
	Tools    json.RawMessage `json:"tools"`
}

type completion struct {
	Choices []struct {
		Message message `json:"message"`
	} `json:"choices"`
}

var directTools = json.RawMessage(
	`[{"type":"function","function":{"name":"` + ToolName + `","description":"` + ToolDescription +
		`","parameters":` + mock.ToolSchema + `}}]`)

// Run executes the plan and compares the answer.
func (d *Direct) Run(ctx context.Context, plan mock.Plan) error {
	messages := []message{{Role: "user", Content: plan.Prompt()}}
	for range plan.Rounds + 1 {
		var got completion
		body := chatRequest{Model: ModelName, Messages: messages, Tools: directTools}
		if err := post(ctx, d.HTTP, d.Mock+"/v1/chat/completions", header(plan.Seed), body, &got); err != nil {
			return err
		}
		if len(got.Choices) != 1 {
			return fmt.Errorf("run plan %d: %d choices, want 1", plan.Seed, len(got.Choices))
		}
		said := got.Choices[0].Message
		if len(said.ToolCalls) == 0 {
			return Compare(plan, said.Content)
		}
		outputs, err := d.tools(ctx, plan.Seed, said.ToolCalls)
		if err != nil {
			return err
		}
		messages = append(append(messages, said), outputs...)
	}
	return fmt.Errorf("run plan %d: no answer after %d rounds", plan.Seed, plan.Rounds)
}

// tools makes the calls of one round in parallel.
func (d *Direct) tools(ctx context.Context, seed int64, calls []toolCall) ([]message, error) {
	outputs, errs := make([]message, len(calls)), make([]error, len(calls))
	var calling sync.WaitGroup
	for i, call := range calls {
		calling.Go(func() {
			var output json.RawMessage
			url := d.Mock + "/tools/" + call.Function.Name
			errs[i] = post(ctx, d.HTTP, url, header(seed), []byte(call.Function.Arguments), &output)
			outputs[i] = message{Role: "tool", ToolCallID: call.ID, Content: string(output)}
		})
	}
	calling.Wait()
	return outputs, errors.Join(errs...)
}

func header(seed int64) http.Header {
	return http.Header{
		"Content-Type": {"application/json"}, "Idempotency-Key": {DirectKey + strconv.FormatInt(seed, 10)},
	}
}

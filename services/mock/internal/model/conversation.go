package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"windlass.dev/windlass/services/mock/internal/script"
)

// chatRequest has the fields of a chat completion request that the model reads.
type chatRequest struct {
	Model         string    `json:"model"`
	Stream        bool      `json:"stream"`
	Messages      []message `json:"messages"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Tools json.RawMessage `json:"tools"` // read by the demo only
}

type message struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	ToolCallID string          `json:"tool_call_id"`
	ToolCalls  []calledFor     `json:"tool_calls"`

	thoughts string // of the Responses API: the sealed reasoning before the message
}

type calledFor struct {
	ID string `json:"id"`
}

// text returns the message's content: a string, or the text parts of an array.
func (m message) text() string {
	if len(m.Content) == 0 || m.Content[0] == 'n' {
		return ""
	}
	if m.Content[0] == '"' {
		var text string
		if json.Unmarshal(m.Content, &text) != nil {
			return ""
		}
		return text
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(m.Content, &parts) != nil {
		return ""
	}
	var text strings.Builder
	for _, part := range parts {
		text.WriteString(part.Text)
	}
	return text.String()
}

// findPlan returns the plan of the last user message that has one, and the
// message's index; -1 if no message has a plan.
func findPlan(messages []message) (script.Plan, int) {
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role != "user" || !bytes.Contains(messages[i].Content, []byte("plan:")) {
			continue
		}
		if p, ok := script.Parse(messages[i].text()); ok {
			return p, i
		}
	}
	return script.Plan{}, -1
}

// round is one assistant message that calls tools, with the tool message for
// each of its calls, in the order of the calls.
type round struct {
	at      int // index of the assistant message
	outputs []message
}

// pair reads the rounds of a conversation, by their call ids. Like OpenAI's API
// it accepts only conversations in which the outputs of all calls follow
// directly; refusal says what is wrong.
func pair(messages []message) (rounds []round, refusal string) {
	for i := 0; i < len(messages); i++ {
		m := &messages[i]
		if m.Role == "tool" {
			return nil, fmt.Sprintf("No tool call found for function call output with call_id %s.", m.ToolCallID)
		}
		if m.Role != "assistant" || len(m.ToolCalls) == 0 {
			continue
		}
		last := i + 1
		for last < len(messages) && messages[last].Role == "tool" {
			last++
		}
		outputs, refusal := m.answeredBy(messages[i+1 : last])
		if refusal != "" {
			return nil, refusal
		}
		rounds = append(rounds, round{at: i, outputs: outputs})
		i = last - 1
	}
	return rounds, ""
}

func (m message) answeredBy(answers []message) (outputs []message, refusal string) {
	places := make(map[string]int, len(m.ToolCalls))
	for i, call := range m.ToolCalls {
		if call.ID == "" {
			return nil, fmt.Sprintf("Missing id of tool call %d.", i)
		}
		if _, twice := places[call.ID]; twice {
			return nil, fmt.Sprintf("Duplicate tool call id %s.", call.ID)
		}
		places[call.ID] = i
	}
	outputs = make([]message, len(m.ToolCalls))
	for _, answer := range answers {
		i, known := places[answer.ToolCallID]
		if !known {
			return nil, fmt.Sprintf("No tool call found for function call output with call_id %s.", answer.ToolCallID)
		}
		if outputs[i].Role != "" {
			return nil, fmt.Sprintf("Duplicate tool output for function call %s.", answer.ToolCallID)
		}
		outputs[i] = answer
	}
	for i, output := range outputs {
		if output.Role == "" {
			return nil, fmt.Sprintf("No tool output found for function call %s.", m.ToolCalls[i].ID)
		}
	}
	return outputs, ""
}

// after returns the rounds that follow a message.
func after(rounds []round, at int) []round {
	for i := range rounds {
		if rounds[i].at > at {
			return rounds[i:]
		}
	}
	return nil
}

package chat

import (
	"encoding/json"
	"errors"
	"fmt"

	"windlass.dev/windlass/pkg/responses"
)

// ErrMalformed says that the upstream's answer cannot be understood; another attempt may do better.
var ErrMalformed = errors.New("the upstream's answer is malformed")

// Finish is why the model stopped.
type Finish string

// The reasons that matter; everything else an upstream says is Other.
const (
	Stopped  Finish = "stop"
	Length   Finish = "length"
	Filtered Finish = "content_filter"
	Other    Finish = "other"
)

// ToolCall is one call the model asks for, with its id and arguments as it wrote them.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string
}

// Answer is what one model call said.
type Answer struct {
	Text      string
	Refusal   string
	Reasoning string
	Logprobs  json.RawMessage
	Calls     []ToolCall
	Finish    Finish
	Usage     responses.Usage
}

type completion struct {
	Choices []struct {
		FinishReason string `json:"finish_reason"`
		Message      *struct {
			Content          string     `json:"content"`
			Refusal          string     `json:"refusal"`
			ReasoningContent string     `json:"reasoning_content"`
			Reasoning        string     `json:"reasoning"`
			ToolCalls        []toolCall `json:"tool_calls"`
		} `json:"message"`
		Logprobs *struct {
			Content json.RawMessage `json:"content"`
		} `json:"logprobs"`
	} `json:"choices"`
	Usage *usage `json:"usage"`
}

type usage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	PromptOf   struct {
		Cached int64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionOf struct {
		Reasoning int64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// Decode reads the body of a chat completion. ErrMalformed: it is not one.
func Decode(body []byte) (Answer, error) {
	var c completion
	if err := json.Unmarshal(body, &c); err != nil {
		return Answer{}, fmt.Errorf("%w: %d bytes that are no chat completion", ErrMalformed, len(body))
	}
	if len(c.Choices) == 0 || c.Choices[0].Message == nil {
		return Answer{}, fmt.Errorf("%w: it has no choice with a message", ErrMalformed)
	}
	first := c.Choices[0]
	m := first.Message
	a := Answer{Text: m.Content, Refusal: m.Refusal, Reasoning: m.ReasoningContent, Finish: finish(first.FinishReason)}
	if a.Reasoning == "" {
		a.Reasoning = m.Reasoning
	}
	if first.Logprobs != nil {
		a.Logprobs = first.Logprobs.Content
	}
	for _, t := range m.ToolCalls {
		if t.Function.Name == "" {
			return Answer{}, fmt.Errorf("%w: a tool call has no name", ErrMalformed)
		}
		a.Calls = append(a.Calls, ToolCall{ID: t.ID, Name: t.Function.Name, Arguments: t.Function.Arguments})
	}
	if u := c.Usage; u != nil {
		a.Usage = responses.Usage{
			InputTokens: max(u.Prompt, 0), CachedTokens: max(u.PromptOf.Cached, 0),
			OutputTokens: max(u.Completion, 0), ReasoningTokens: max(u.CompletionOf.Reasoning, 0),
		}
	}
	return a, nil
}

func finish(reason string) Finish {
	switch reason {
	case "", "stop", "tool_calls", "function_call":
		return Stopped
	case "length", "content_filter":
		return Finish(reason)
	}
	return Other
}

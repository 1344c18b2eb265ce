package chat

import (
	"encoding/json"
	"fmt"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

type completion struct {
	Choices []struct {
		FinishReason string    `json:"finish_reason"`
		Message      *said     `json:"message"`
		Logprobs     *logprobs `json:"logprobs"`
	} `json:"choices"`
	Usage *usage `json:"usage"`
}

// said is a whole message or a piece of one.
type said struct {
	Content          string      `json:"content"`
	Refusal          string      `json:"refusal"`
	ReasoningContent string      `json:"reasoning_content"`
	Reasoning        string      `json:"reasoning"`
	ToolCalls        []calledFor `json:"tool_calls"`
}

func (s *said) thought() string {
	if s.ReasoningContent != "" {
		return s.ReasoningContent
	}
	return s.Reasoning
}

type calledFor struct {
	toolCall
	Index *int `json:"index"`
}

type logprobs struct {
	Content json.RawMessage `json:"content"`
}

func (l *logprobs) list() json.RawMessage {
	if l == nil {
		return nil
	}
	return model.Logprobs(l.Content)
}

type usage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	PromptOf   struct {
		Cached int64 `json:"cached_tokens"`
		Write  int64 `json:"cache_write_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionOf struct {
		Reasoning int64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

func (u *usage) read() responses.Usage {
	if u == nil {
		return responses.Usage{}
	}
	return responses.Usage{
		InputTokens: max(u.Prompt, 0), CachedTokens: max(u.PromptOf.Cached, 0), CacheWriteTokens: max(u.PromptOf.Write, 0),
		OutputTokens: max(u.Completion, 0), ReasoningTokens: max(u.CompletionOf.Reasoning, 0),
	}
}

// Decode reads the body of a chat completion. model.ErrMalformed: it is not one.
func (Dialect) Decode(body []byte) (model.Answer, error) {
	var c completion
	if err := json.Unmarshal(body, &c); err != nil {
		return model.Answer{}, fmt.Errorf("%w: %d bytes that are no chat completion", model.ErrMalformed, len(body))
	}
	if len(c.Choices) == 0 || c.Choices[0].Message == nil {
		return model.Answer{}, fmt.Errorf("%w: it has no choice with a message", model.ErrMalformed)
	}
	first := c.Choices[0]
	m := first.Message
	a := model.Answer{Finish: finish(first.FinishReason), Usage: c.Usage.read()}
	if thought := m.thought(); thought != "" {
		a.Outputs = append(a.Outputs, model.Output{Kind: model.Reasoning, Reasoning: item.Reasoning{Text: thought}})
	}
	var parts []item.Part
	if m.Content != "" {
		parts = append(parts, item.Part{Type: "output_text", Text: m.Content, Logprobs: first.Logprobs.list()})
	}
	if m.Refusal != "" {
		parts = append(parts, item.Part{Type: "refusal", Text: m.Refusal})
	}
	if parts != nil {
		a.Outputs = append(a.Outputs, model.Output{Kind: model.Message, Parts: parts})
	}
	for _, t := range m.ToolCalls {
		if t.Function.Name == "" {
			return model.Answer{}, errNameless
		}
		a.Outputs = append(a.Outputs, model.Output{Kind: model.Function, Call: model.ToolCall{
			ID: t.ID, Name: t.Function.Name, Arguments: t.Function.Arguments,
		}})
	}
	return a, nil
}

var errNameless = fmt.Errorf("%w: a tool call has no name", model.ErrMalformed)

func finish(reason string) model.Finish {
	switch reason {
	case "", "stop", "tool_calls", "function_call":
		return model.Stopped
	case "length", "content_filter":
		return model.Finish(reason)
	}
	return model.Other
}

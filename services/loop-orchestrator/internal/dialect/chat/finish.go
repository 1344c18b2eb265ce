package chat

import (
	"fmt"
	"net/http"
	"strings"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// reasons maps the finish reasons of OpenAI, Anthropic, Gemini, Mistral,
// Cohere, Bedrock and common model servers, in lower case.
var reasons = map[string]model.Finish{
	"stop": model.Stopped, "tool_calls": model.Stopped, "function_call": model.Stopped, "tool_call": model.Stopped,
	"tool_use": model.Stopped, "end_turn": model.Stopped, "stop_sequence": model.Stopped, "eos": model.Stopped,
	"eos_token": model.Stopped, "end_of_sequence": model.Stopped, "complete": model.Stopped,

	"length": model.Length, "max_tokens": model.Length, "max_output_tokens": model.Length, "max_length": model.Length,
	"max_completion_tokens": model.Length, "max_new_tokens": model.Length, "model_length": model.Length,
	"token_limit": model.Length, "model_context_window_exceeded": model.Length, "context_length_exceeded": model.Length,

	"content_filter": model.Filtered, "content_filtered": model.Filtered, "safety": model.Filtered,
	"recitation": model.Filtered, "blocklist": model.Filtered, "prohibited_content": model.Filtered,
	"spii": model.Filtered, "image_safety": model.Filtered, "language": model.Filtered, "sensitive": model.Filtered,
	"guardrail_intervened": model.Filtered, "refusal": model.Filtered, "error_toxic": model.Filtered,
}

// finish maps a reason. An unknown reason counts as model.Stopped, so that a
// complete answer is not discarded for it.
func finish(reason string) (f model.Finish, known bool) {
	if f, known = reasons[normalize(reason)]; known {
		return f, true
	}
	return model.Stopped, false
}

// normalize returns a reason in lower case and without Gemini's prefix.
func normalize(reason string) string {
	reason = strings.ToLower(strings.TrimSpace(reason))
	return strings.TrimPrefix(strings.ReplaceAll(reason, "-", "_"), "finish_reason_")
}

// isFailure reports whether a reason says that the provider failed.
func isFailure(reason string) bool {
	reason = normalize(reason)
	if reasons[reason] != "" {
		return false
	}
	switch reason {
	case "malformed_function_call", "malformed_tool_call", "malformed_response", "unexpected_tool_call",
		"missing_thought_signature", "failed", "failure", "timeout", "timed_out", "abort", "aborted", "cancelled",
		"canceled", "insufficient_system_resource", "overloaded":
		return true
	}
	return strings.Contains(reason, "error")
}

func finishError(reason string) error {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	return &run.Failure{
		Code: run.CodeServerError, Message: fmt.Sprintf("The upstream ended its answer with the reason %q.", reason),
		HTTPStatus: http.StatusOK, Retriable: true,
	}
}

// maxReason bounds the part of a reason that an error shows.
const maxReason = 64

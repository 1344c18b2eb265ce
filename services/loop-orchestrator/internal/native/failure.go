package native

import (
	"encoding/json"
	"net/http"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// passing are the codes and types of errors that another attempt may not meet.
var passing = map[string]bool{
	"server_error": true, "model_error": true, "internal_error": true, "internal_server_error": true, "service_unavailable": true,
	"overloaded": true, "overloaded_error": true, "slow_down": true, "timeout": true, "vector_store_timeout": true,
	"rate_limit_exceeded": true, "rate_limit_error": true, "too_many_requests": true,
}

// failure is an error that an upstream tells of in a response or in an event. Its words are the upstream's.
func failure(told json.RawMessage) *model.CallError {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(told, &members) // null, and a text that is no object, have none
	word := func(name string) (s string) {
		_ = json.Unmarshal(members[name], &s) // of another type it says nothing
		return s
	}
	e := &model.CallError{Code: word("code"), Message: word("message")}
	if e.Message == "" {
		e.Message = "The upstream reported that its response failed."
	}
	var status int
	if json.Unmarshal(members["code"], &status) == nil && status > 0 {
		e.Code, e.Retriable = byStatus(status)
		return e
	}
	typ := word("type")
	if e.Code != "" {
		e.Retriable = passing[e.Code] || passing[typ]
		return e
	}
	e.Code = byType(typ)
	e.Retriable = e.Code != "invalid_prompt"
	return e
}

func byType(typ string) string {
	switch typ {
	case "too_many_requests", "rate_limit_error":
		return "rate_limit_exceeded"
	case "invalid_request", "invalid_request_error", "not_found":
		return "invalid_prompt"
	}
	return "server_error"
}

func byStatus(status int) (code string, retriable bool) {
	switch {
	case status == http.StatusTooManyRequests:
		return "rate_limit_exceeded", true
	case status == http.StatusRequestTimeout:
		return "timeout", true
	case status >= 400 && status < 500:
		return "invalid_prompt", false
	}
	return "server_error", true
}

package responsesapi

import (
	"encoding/json"
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/apierror"
)

// response is a response object.
type response struct {
	status string
	err    json.RawMessage
	output []json.RawMessage
	usage  responses.Usage
	reason string // why it is incomplete
}

// Decode reads a response object. Its error wraps model.ErrMalformed if the
// body is no finished response, and is a *run.Failure if it reports one.
func (Dialect) Decode(body []byte) (model.Answer, error) {
	r, err := parseResponse(body)
	if err != nil {
		return model.Answer{}, err
	}
	f, err := r.finish("")
	if err != nil {
		return model.Answer{}, err
	}
	a := model.Answer{Usage: r.usage, Finish: f}
	for _, raw := range r.output {
		it, known, err := readItem(raw)
		if err != nil {
			return model.Answer{}, err
		}
		if known {
			a.Outputs = append(a.Outputs, it.Output)
		}
	}
	return a, nil
}

func parseResponse(body []byte) (response, error) {
	v, ok := rawjson.Valid(body)
	if !ok || rawjson.Kind(v) != '{' {
		return response{}, fmt.Errorf("%w: %d bytes that are no response", model.ErrMalformed, len(body))
	}
	r := response{
		status: strings.ToLower(rawjson.Text(rawjson.Member(v, "status"))),
		err:    rawjson.Member(v, "error"), usage: readUsage(rawjson.Member(v, "usage")),
	}
	details := rawjson.Member(v, "incomplete_details")
	if r.reason = rawjson.Text(rawjson.Member(details, "reason")); r.reason == "" {
		r.reason = rawjson.Text(details)
	}
	for it := range rawjson.Elements(rawjson.Member(v, "output")) {
		if rawjson.Kind(it) == '{' {
			r.output = append(r.output, it)
		}
	}
	return r, nil
}

// finish returns how a response ended. eventStatus is that of the event around
// it, for an object without a status.
func (r response) finish(eventStatus string) (model.Finish, error) {
	status := r.status
	switch status {
	case "", "in_progress", "queued":
		if eventStatus != "" {
			status = eventStatus
		}
	}
	switch status {
	case "completed", "complete", "succeeded", "success", "done", "finished":
		return model.Stopped, nil
	case "incomplete":
		return readReason(r.reason), nil
	case "failed", "cancelled", "canceled", "error", "expired":
		return "", apierror.Reported(apierror.Read(r.err))
	case "in_progress", "queued":
	default:
		if rawjson.IsSet(r.err) {
			return "", apierror.Reported(apierror.Read(r.err))
		}
		if len(r.output) > 0 {
			return model.Stopped, nil
		}
	}
	return "", fmt.Errorf("%w: the response has not ended", model.ErrMalformed)
}

func readReason(reason string) model.Finish {
	switch reason {
	case "max_output_tokens", "max_tokens", "length":
		return model.Length
	case "content_filter":
		return model.Filtered
	}
	return model.Other
}

// readUsage reads the counts that are valid. The answer counts without its
// usage.
func readUsage(usage json.RawMessage) responses.Usage {
	count := func(v json.RawMessage, name string) int64 { return rawjson.Count(rawjson.Member(v, name)) }
	input, output := rawjson.Member(usage, "input_tokens_details"), rawjson.Member(usage, "output_tokens_details")
	return responses.Usage{
		InputTokens: count(usage, "input_tokens"), CachedTokens: count(input, "cached_tokens"),
		CacheWriteTokens: count(input, "cache_write_tokens"),
		OutputTokens:     count(usage, "output_tokens"), ReasoningTokens: count(output, "reasoning_tokens"),
	}
}

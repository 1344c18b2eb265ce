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

// Decode reads a response object. Errors: model.ErrMalformed, it is none or is
// not at its end; *run.Failure, it tells of a failure.
func (Dialect) Decode(body []byte) (model.Answer, error) {
	r, err := parse(body)
	if err != nil {
		return model.Answer{}, err
	}
	f, err := r.ending("")
	if err != nil {
		return model.Answer{}, err
	}
	a := model.Answer{Usage: r.usage, Finish: f}
	for _, raw := range r.output {
		it, known, err := read(raw)
		if err != nil {
			return model.Answer{}, err
		}
		if known {
			a.Outputs = append(a.Outputs, it.Output)
		}
	}
	return a, nil
}

func parse(body []byte) (response, error) {
	v, ok := rawjson.Valid(body)
	if !ok || rawjson.Kind(v) != '{' {
		return response{}, fmt.Errorf("%w: %d bytes that are no response", model.ErrMalformed, len(body))
	}
	r := response{
		status: strings.ToLower(rawjson.Text(rawjson.Member(v, "status"))),
		err:    rawjson.Member(v, "error"), usage: used(rawjson.Member(v, "usage")),
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

// ending is how a response ended. otherwise is what the event says that it came
// with, for an object that does not say it itself.
func (r response) ending(otherwise string) (model.Finish, error) {
	status := r.status
	switch status {
	case "", "in_progress", "queued":
		if otherwise != "" {
			status = otherwise
		}
	}
	switch status {
	case "completed", "complete", "succeeded", "success", "done", "finished":
		return model.Stopped, nil
	case "incomplete":
		return finish(r.reason), nil
	case "failed", "cancelled", "canceled", "error", "expired":
		return "", apierror.Reported(apierror.Read(r.err))
	case "in_progress", "queued":
	default:
		if rawjson.Given(r.err) {
			return "", apierror.Reported(apierror.Read(r.err))
		}
		if len(r.output) > 0 {
			return model.Stopped, nil
		}
	}
	return "", fmt.Errorf("%w: it is no response that has come to its end", model.ErrMalformed)
}

func finish(reason string) model.Finish {
	switch reason {
	case "max_output_tokens", "max_tokens", "length":
		return model.Length
	case "content_filter":
		return model.Filtered
	}
	return model.Other
}

// used counts as well as it can: the answer stands whatever is said of its
// usage.
func used(usage json.RawMessage) responses.Usage {
	count := func(v json.RawMessage, name string) int64 { return rawjson.Count(rawjson.Member(v, name)) }
	input, output := rawjson.Member(usage, "input_tokens_details"), rawjson.Member(usage, "output_tokens_details")
	return responses.Usage{
		InputTokens: count(usage, "input_tokens"), CachedTokens: count(input, "cached_tokens"),
		CacheWriteTokens: count(input, "cache_write_tokens"),
		OutputTokens:     count(usage, "output_tokens"), ReasoningTokens: count(output, "reasoning_tokens"),
	}
}

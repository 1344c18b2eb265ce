package responses

import (
	"strconv"
	"time"

	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
)

// Response is the response object: what the client asked for, and the state of
// the answer.
type Response struct {
	ID          string
	Request     *Create // what is echoed; required
	Status      run.Status
	CreatedAt   time.Time
	CompletedAt time.Time // shown only for Completed
	Output      []item.Item
	Usage       *Usage       // nil until known
	Failure     *run.Failure // its code and message, for Failed
	Reason      string       // for Incomplete: max_output_tokens, content_filter, …
	Model       string       // the model that answered; empty: the one asked for
	ServiceTier string       // the tier that was used; empty: the one asked for
}

// MarshalJSON returns JSON.
func (r Response) MarshalJSON() ([]byte, error) { return r.JSON(), nil }

// JSON returns the object on one line. Equal responses give equal bytes.
func (r Response) JSON() []byte { return r.AppendJSON(make([]byte, 0, r.size())) }

// size estimates the length of the JSON from its large parts.
func (r Response) size() int {
	n := 1280 + len(r.Request.Instructions)
	for _, it := range r.Output {
		n += len(it.JSON()) + 1
	}
	for _, t := range r.Request.Tools {
		n += len(t.JSON()) + 64
	}
	return n
}

// AppendJSON appends the object.
func (r Response) AppendJSON(b []byte) []byte {
	w := writer{b}
	w.b = append(w.b, `{"id":`...)
	w.b = raw.AppendText(w.b, r.ID)
	w.b = append(w.b, `,"object":"response"`...)
	r.appendState(&w)
	r.appendOutput(&w)
	c := r.Request
	w.text("model", orElse(r.Model, c.Model))
	w.nullable("previous_response_id", c.PreviousResponseID)
	w.nullable("instructions", c.Instructions)
	w.text("service_tier", tier(orElse(r.ServiceTier, c.ServiceTier)))
	c.appendTools(&w)
	c.appendSampling(&w)
	c.appendExtra(&w)
	return append(w.b, '}')
}

func (r Response) appendState(w *writer) {
	w.key("created_at")
	w.b = strconv.AppendInt(w.b, r.CreatedAt.Unix(), 10)
	w.key("status")
	w.b = raw.AppendText(w.b, string(r.Status))
	w.key("completed_at")
	if r.Status == run.Completed && !r.CompletedAt.IsZero() {
		w.b = strconv.AppendInt(w.b, r.CompletedAt.Unix(), 10)
	} else {
		w.null()
	}
	w.key("error")
	if r.Failure != nil {
		w.b = append(w.b, `{"code":`...)
		w.b = raw.AppendText(w.b, r.Failure.Code)
		w.b = append(w.b, `,"message":`...)
		w.b = raw.AppendText(w.b, r.Failure.Message)
		w.b = append(w.b, '}')
	} else {
		w.null()
	}
	w.key("incomplete_details")
	if r.Reason != "" {
		w.b = append(w.b, `{"reason":`...)
		w.b = raw.AppendText(w.b, r.Reason)
		w.b = append(w.b, '}')
	} else {
		w.null()
	}
}

func (r Response) appendOutput(w *writer) {
	w.items("output", r.Output)
	w.key("usage")
	if r.Usage != nil {
		w.b = r.Usage.AppendJSON(w.b)
	} else {
		w.null()
	}
}

func (c *Create) appendTools(w *writer) {
	w.key("tools")
	w.b = append(w.b, '[')
	for i, t := range c.Tools {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = t.AppendEcho(w.b)
	}
	w.b = append(w.b, ']')
	w.key("tool_choice")
	w.b = c.ToolChoice.AppendEcho(w.b)
	w.bool("parallel_tool_calls", c.ParallelToolCalls == nil || *c.ParallelToolCalls)
	w.integer("max_tool_calls", c.MaxToolCalls)
}

func (c *Create) appendSampling(w *writer) {
	w.integer("max_output_tokens", c.MaxOutputTokens)
	w.number("temperature", c.Temperature, "1")
	w.number("top_p", c.TopP, "1")
	w.number("presence_penalty", c.PresencePenalty, "0")
	w.number("frequency_penalty", c.FrequencyPenalty, "0")
	w.key("top_logprobs")
	if c.TopLogprobs != nil {
		w.b = strconv.AppendInt(w.b, int64(*c.TopLogprobs), 10)
	} else {
		w.b = append(w.b, '0')
	}
	w.text("truncation", orElse(c.Truncation, "disabled"))
	w.key("text")
	w.b = c.Text.AppendEcho(w.b)
	w.b = append(w.b, `,"reasoning":{"effort":`...)
	w.b = raw.AppendTextOrNull(w.b, c.Reasoning.Effort)
	w.nullable("summary", c.Reasoning.Summary)
	w.appendText("mode", c.Reasoning.Mode)
	w.appendText("context", c.Reasoning.Context)
	w.b = append(w.b, '}')
}

// appendExtra appends the remaining fields. Of those beyond the specification
// it writes only what the client sent: SDKs know these fields, and a null would
// be useless.
func (c *Create) appendExtra(w *writer) {
	w.bool("store", c.Store)
	w.bool("background", c.Background)
	w.key("metadata")
	w.b = raw.AppendTexts(w.b, c.Metadata)
	w.nullable("safety_identifier", c.SafetyIdentifier)
	w.nullable("prompt_cache_key", c.PromptCacheKey)
	w.appendText("user", c.User)
	if c.Conversation != "" {
		w.b = append(w.b, `,"conversation":{"id":`...)
		w.b = raw.AppendText(w.b, c.Conversation)
		w.b = append(w.b, '}')
	}
	for _, name := range []string{"prompt_cache_retention", "prompt_cache_options"} {
		if v := c.Extra[name]; v != nil {
			w.key(name)
			w.b = append(w.b, v...)
		}
	}
}

// tier is the service tier that a response reports. Windlass has no tiers auto
// and scale, which become default; fast is an alias of priority.
func tier(asked string) string {
	switch asked {
	case "", "auto", "scale":
		return "default"
	case "fast":
		return "priority"
	}
	return asked
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

package responses

import (
	"math"
	"slices"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/responses/tool"
)

// reader reads one field that is present and not null. The path of its problem
// is relative to the field.
type reader func(*Create, raw.Value) *check.Problem

var fields = map[string]reader{
	"model":                readText(0, func(c *Create) *string { return &c.Model }),
	"instructions":         readText(0, func(c *Create) *string { return &c.Instructions }),
	"previous_response_id": readText(0, func(c *Create) *string { return &c.PreviousResponseID }),
	"user":                 readText(0, func(c *Create) *string { return &c.User }),
	"safety_identifier":    readText(128, func(c *Create) *string { return &c.SafetyIdentifier }),
	"prompt_cache_key":     readText(64, func(c *Create) *string { return &c.PromptCacheKey }),

	"background": readBool(func(c *Create) *bool { return &c.Background }),
	"store":      readBool(func(c *Create) *bool { return &c.Store }),
	"stream":     readBool(func(c *Create) *bool { return &c.Stream }),
	"generate":   readBool(func(c *Create) *bool { return &c.Generate }),
	"parallel_tool_calls": readBool(func(c *Create) *bool {
		c.ParallelToolCalls = new(bool)
		return c.ParallelToolCalls
	}),

	"max_output_tokens": readInt(16, math.MaxInt32, func(c *Create, n int) { c.MaxOutputTokens = &n }),
	"max_tool_calls":    readInt(1, math.MaxInt32, func(c *Create, n int) { c.MaxToolCalls = &n }),
	"top_logprobs":      readInt(0, 20, func(c *Create, n int) { c.TopLogprobs = &n }),
	"temperature":       readNumber(0, 2, func(c *Create, f float64) { c.Temperature = &f }),
	"top_p":             readNumber(0, 1, func(c *Create, f float64) { c.TopP = &f }),
	"presence_penalty":  readNumber(-2, 2, func(c *Create, f float64) { c.PresencePenalty = &f }),
	"frequency_penalty": readNumber(-2, 2, func(c *Create, f float64) { c.FrequencyPenalty = &f }),

	"truncation": readEnum(func(c *Create) *string { return &c.Truncation }, "auto", "disabled"),
	"service_tier": readEnum(func(c *Create) *string { return &c.ServiceTier },
		"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"),

	"input":          (*Create).readInput,
	"tools":          (*Create).readTools,
	"tool_choice":    (*Create).readToolChoice,
	"conversation":   (*Create).readConversation,
	"include":        (*Create).readInclude,
	"metadata":       (*Create).readMetadata,
	"text":           (*Create).readTextForm,
	"reasoning":      (*Create).readReasoning,
	"stream_options": (*Create).readStreamOptions,

	"context_management": (*Create).readContextManagement,
}

func readText(most int, at func(*Create) *string) reader {
	return func(c *Create, v raw.Value) (p *check.Problem) {
		*at(c), p = check.String(v, most)
		return p
	}
}

func readEnum(at func(*Create) *string, supported ...string) reader {
	return func(c *Create, v raw.Value) (p *check.Problem) {
		*at(c), p = check.Enum(v, supported...)
		return p
	}
}

func readBool(at func(*Create) *bool) reader {
	return func(c *Create, v raw.Value) (p *check.Problem) {
		*at(c), p = check.Bool(v)
		return p
	}
}

func readInt(least, most int, set func(*Create, int)) reader {
	return func(c *Create, v raw.Value) *check.Problem {
		n, p := check.Integer(v, least, most)
		set(c, n)
		return p
	}
}

func readNumber(least, most float64, set func(*Create, float64)) reader {
	return func(c *Create, v raw.Value) *check.Problem {
		f, p := check.Number(v, least, most)
		set(c, f)
		return p
	}
}

func (c *Create) readInput(v raw.Value) (p *check.Problem) {
	switch v.Kind() {
	case raw.Array:
		c.Input, p = item.ReadList(v)
		return p
	case raw.String:
		if p := check.Text(v, maxInput); p != nil {
			return p
		}
		message := append([]byte(nil), `{"type":"message","role":"user","content":[{"type":"input_text","text":`...)
		message = append(append(message, v...), `}]}`...)
		it, p := item.Read(message)
		c.Input = []item.Item{it}
		return p
	}
	return check.WrongType(v, "one of a string or array of input items")
}

// maxInput is the longest input that OpenAI's API takes, in characters.
const maxInput = 10_485_760

func (c *Create) readTools(v raw.Value) (p *check.Problem) {
	c.Tools, p = tool.ReadList(v)
	return p
}

func (c *Create) readToolChoice(v raw.Value) (p *check.Problem) {
	c.ToolChoice, p = tool.ReadChoice(v)
	return p
}

func (c *Create) readConversation(v raw.Value) (p *check.Problem) {
	switch v.Kind() {
	case raw.String:
		c.Conversation, p = check.ID(v, "conv")
		return p
	case raw.Object:
		id := v.Field("id")
		if !id.IsSet() {
			return check.Absent("id")
		}
		c.Conversation, p = check.ID(id, "conv")
		return p.In("id")
	}
	return check.WrongType(v, "one of a string or object")
}

// What include may ask for and an upstream has to be asked for.
const (
	IncludeReasoning = "reasoning.encrypted_content"
	IncludeLogprobs  = "message.output_text.logprobs"
)

// includable are all values of include.
var includable = []string{
	"file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
	"message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
	IncludeReasoning, IncludeLogprobs,
}

// Includable checks the values of a query's include like those of a body. The
// error is a 400; nil means success.
func Includable(values []string) *fault.Error {
	for i, s := range values {
		if !slices.Contains(includable, s) {
			return check.WrongValue(s, includable...).At(i).In("include").Fault()
		}
	}
	return nil
}

func (c *Create) readInclude(v raw.Value) *check.Problem {
	if p := check.List(v, 0); p != nil {
		return p
	}
	c.Include = nil
	for i, e := range v.Elements() {
		s, p := check.Enum(e, includable...)
		if p != nil {
			return p.At(i)
		}
		c.Include = append(c.Include, s)
	}
	return nil
}

func (c *Create) readMetadata(v raw.Value) (p *check.Problem) {
	c.Metadata, p = check.Metadata(v)
	return p
}

func (c *Create) readReasoning(v raw.Value) (p *check.Problem) {
	if p := check.Type(v, raw.Object); p != nil {
		return p
	}
	c.reasoning = v
	c.Reasoning = Reasoning{Mode: v.Field("mode").Text(), Context: v.Field("context").Text()}
	if e := v.Field("effort"); e.IsSet() {
		c.Reasoning.Effort, p = check.Enum(e, "none", "minimal", "low", "medium", "high", "xhigh", "max")
		if p != nil {
			return p.In("effort")
		}
	}
	if s := v.Field("summary"); s.IsSet() {
		c.Reasoning.Summary, p = check.Enum(s, "auto", "concise", "detailed")
		return p.In("summary")
	}
	c.Reasoning.Summary = v.Field("generate_summary").Text() // its old name
	return nil
}

func (c *Create) readStreamOptions(v raw.Value) (p *check.Problem) {
	if p := check.Type(v, raw.Object); p != nil {
		return p
	}
	if o := v.Field("include_obfuscation"); o.IsSet() {
		c.IncludeObfuscation = new(bool)
		*c.IncludeObfuscation, p = check.Bool(o)
	}
	return p.In("include_obfuscation")
}

// readContextManagement reads the entries that say when a history is compacted.
// The lowest threshold counts. OpenAI has a default threshold for an entry
// without one; it would depend on the model's window, which is unknown here.
func (c *Create) readContextManagement(v raw.Value) *check.Problem {
	if p := check.Type(v, raw.Array); p != nil {
		return p
	}
	c.CompactThreshold = 0
	for i, e := range v.Elements() {
		n, p := readThreshold(e)
		if p != nil {
			return p.At(i)
		}
		if c.CompactThreshold == 0 || n < c.CompactThreshold {
			c.CompactThreshold = n
		}
	}
	return nil
}

func readThreshold(v raw.Value) (int, *check.Problem) {
	if p := check.Type(v, raw.Object); p != nil {
		return 0, p
	}
	typ, threshold := v.Field("type"), v.Field("compact_threshold")
	if !typ.IsSet() {
		return 0, check.Absent("type")
	}
	if _, p := check.Enum(typ, "compaction"); p != nil {
		return 0, p.In("type")
	}
	if !threshold.IsSet() {
		return 0, check.Absent("compact_threshold")
	}
	n, p := check.Integer(threshold, minThreshold, math.MaxInt32)
	return n, p.In("compact_threshold")
}

// minThreshold is the lowest compaction threshold: below it, the summary alone
// might reach the threshold again.
const minThreshold = 1000

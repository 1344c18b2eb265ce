package responses

import (
	"cmp"
	"regexp"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Refusal returns why a decoded request is not served: it asks for something
// that Windlass does not do, or its fields contradict each other; nil if it is
// served. Call it when a request is accepted. Decode does without these rules,
// so that a request that was accepted once stays readable when rules are added.
func (c *Create) Refusal() *fault.Error {
	for _, name := range unserved {
		if p := name.refuse(raw.Value(c.Extra[name.field])); p != nil {
			return p.In(name.field).Fault()
		}
	}
	if p := c.reasoningFault(); p != nil {
		return p.In("reasoning").Fault()
	}
	if p := c.schemaFault(); p != nil {
		return p.Fault()
	}
	if p := cmp.Or(c.callFault(), c.jsonFault()); p != nil {
		return p.Fault()
	}
	return c.ToolChoice.Fault(c.Tools).In("tool_choice").Fault()
}

// unserved are known fields that are not served, or not entirely. A hint, like
// those for prompt caches, is served by ignoring it.
var unserved = []struct {
	field  string
	refuse func(raw.Value) *check.Problem
}{
	{"prompt", refuseGiven("there are no stored prompts. Send the text as 'instructions' and 'input' instead.")},
	{"moderation", refuseGiven("nothing is moderated here.")},
	{"multi_agent", refuseMultiAgent},
	{"access_programs", refuseAccess},
	{"prompt_cache_retention", refuseRetention},
	{"prompt_cache_options", refuseCacheOptions},
}

// unsupported is a parameter that cannot be honoured, and the reason.
func unsupported(why string) *check.Problem {
	return check.Quoting("unsupported_parameter", "Unsupported parameter: ", " is not supported by this server: "+why)
}

func refuseGiven(why string) func(raw.Value) *check.Problem {
	return func(v raw.Value) *check.Problem {
		if !v.IsSet() {
			return nil
		}
		return unsupported(why)
	}
}

func refuseMultiAgent(v raw.Value) *check.Problem {
	if !v.IsSet() || v.Kind() == raw.Object && string(v.Field("enabled")) != "true" {
		return nil
	}
	return unsupported("there are no sub-agents.")
}

func refuseAccess(v raw.Value) *check.Problem {
	if cyber := v.Field("cyber"); !v.IsSet() ||
		v.Kind() == raw.Object && (!cyber.IsSet() || cyber.Text() == "standard") {
		return nil
	}
	return unsupported("there are no access programs.")
}

func refuseRetention(v raw.Value) *check.Problem {
	if !v.IsSet() {
		return nil
	}
	_, p := check.Enum(v, "in_memory", "24h")
	return p
}

// refuseCacheOptions accepts the hints and refuses prewarm, which asks for no
// answer.
func refuseCacheOptions(v raw.Value) *check.Problem {
	if !v.IsSet() {
		return nil
	}
	if p := check.Type(v, raw.Object); p != nil {
		return p
	}
	if string(v.Field("prewarm")) == "true" {
		return unsupported("every request is answered.").In("prewarm")
	}
	return nil
}

// reasoningFault checks what Decode does not check of reasoning.
func (c *Create) reasoningFault() *check.Problem {
	for _, f := range []struct {
		name      string
		supported []string
	}{
		{"generate_summary", []string{"auto", "concise", "detailed"}},
		{"mode", []string{"standard", "pro"}},
		{"context", []string{"auto", "current_turn", "all_turns"}},
	} {
		if v := c.reasoning.Field(f.name); v.IsSet() {
			if _, p := check.Enum(v, f.supported...); p != nil {
				return p.In(f.name)
			}
		}
	}
	return nil
}

// schemaFault finds invalid schemas, and those that strict mode refuses for a
// reason that Decode does not check.
func (c *Create) schemaFault() *check.Problem {
	for i, t := range c.Tools {
		if p := t.SchemaFault(); p != nil {
			return p.At(i).In("tools")
		}
	}
	return c.Text.schemaFault().In("format").In("text")
}

// maxCallID is the longest call id that OpenAI's API takes, in characters.
const maxCallID = 64

// callFault checks the ids of calls and outputs. The names come from a model,
// so they only have to be present.
func (c *Create) callFault() *check.Problem {
	for i, it := range c.Input {
		if it.Type != "function_call" && it.Type != "function_call_output" {
			continue
		}
		if p := cmp.Or(check.NotEmpty(it.CallID), check.Length(it.CallID, maxCallID)); p != nil {
			return p.In("call_id").At(i).In("input")
		}
		if p := check.NotEmpty(it.Name); p != nil && it.Type == "function_call" {
			return p.In("name").At(i).In("input")
		}
	}
	return nil
}

// jsonWord is the word that a model must read if it is held to JSON.
var jsonWord = regexp.MustCompile("(?i)json")

// jsonFault refuses the format json_object if the model does not read of JSON:
// such a model fills its answer with blanks. As in OpenAI's API, except that
// instructions count, and so may a history, which is unknown here.
func (c *Create) jsonFault() *check.Problem {
	if c.Text.Format != "json_object" || c.PreviousResponseID != "" || c.Conversation != "" ||
		jsonWord.MatchString(c.Instructions) {
		return nil
	}
	for _, it := range c.Input {
		if it.Type == "item_reference" || jsonWord.Match(it.JSON()) {
			return nil
		}
	}
	return check.Refuse(
		"input", "",
		"Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
	)
}

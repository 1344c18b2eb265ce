// Package capability checks what a model's upstream can be given, by its
// dialect, so that the gateway refuses a request instead of failing its run.
//
// Chat completions have no place for earlier reasoning, lists of tools and
// reasoning summaries. Agents send these to every model, so the first two are
// left out of the model's input, and no summary comes back. Everything else
// that would be lost is refused.
package capability

import (
	"fmt"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
)

// Check returns the 400 for what the dialect cannot express; nil if it can
// express everything.
func Check(dialect string, c *responses.Create) *fault.Error {
	if dialect == registry.Responses {
		return nil // it speaks this API itself
	}
	switch {
	case c.Truncation == "auto":
		return unsupported(
			"truncation", "'auto' is not supported with this model: its upstream does not shorten a history.",
		)
	case c.Reasoning.Mode == "pro":
		return unsupported("reasoning.mode", "'pro' is not supported with this model.")
	case c.Reasoning.Context == "all_turns":
		return unsupported(
			"reasoning.context",
			"'all_turns' is not supported with this model: its upstream is shown no earlier reasoning.",
		)
	}
	for i, it := range c.Input {
		if f := refuseItem(fmt.Sprintf("input[%d]", i), it); f != nil {
			return f
		}
	}
	return nil
}

func refuseItem(at string, it item.Item) *fault.Error {
	switch it.Type {
	case "message":
		for i, p := range it.Parts() {
			if f := refusePart(fmt.Sprintf("%s.content[%d]", at, i), p); f != nil {
				return f
			}
		}
	case "function_call_output":
		for i, p := range it.Parts() {
			if !isText(p) {
				return unsupported(fmt.Sprintf("%s.output[%d]", at, i), fmt.Sprintf(
					"a function's output of the type '%.64s' is not supported with this model: its upstream takes text.",
					p.Type))
			}
		}
	case "function_call", "mcp_call", "item_reference", "compaction", "compaction_trigger":
	case "reasoning", "mcp_list_tools":
	default:
		return unsupported(at, fmt.Sprintf("an item of the type '%.64s' is not supported with this model.", it.Type))
	}
	return nil
}

func refusePart(at string, p item.Part) *fault.Error {
	switch {
	case isText(p), p.Type == "refusal":
	case p.Type == "input_image" && p.ImageURL != "":
	case p.Type == "input_image":
		return unsupported(at, "an image without 'image_url' is not supported with this model.")
	case p.Type == "input_file" && (p.FileData != "" || p.FileID != ""):
	case p.Type == "input_file":
		return unsupported(at, "a file without 'file_data' or 'file_id' is not supported with this model.")
	default:
		return unsupported(at, fmt.Sprintf("content of the type '%.64s' is not supported with this model.", p.Type))
	}
	return nil
}

func isText(p item.Part) bool {
	switch p.Type {
	case "input_text", "output_text", "text", "summary_text", "reasoning_text":
		return true
	}
	return false
}

func unsupported(param, message string) *fault.Error {
	return fault.Invalid(param, "unsupported_value", fmt.Sprintf("Unsupported value: '%s': %s", param, message))
}

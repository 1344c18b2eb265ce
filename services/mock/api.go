package mock

import (
	"windlass.dev/windlass/services/mock/internal/embedding"
	"windlass.dev/windlass/services/mock/internal/fault"
	"windlass.dev/windlass/services/mock/internal/ledger"
	"windlass.dev/windlass/services/mock/internal/script"
	"windlass.dev/windlass/services/mock/internal/tool"
)

// Plan scripts one run. Tests write it into the input.
type Plan = script.Plan

// Fault is one thing that goes wrong in a plan.
type Fault = fault.Fault

// Entry is one call in the ledger.
type Entry = ledger.Entry

// ToolSchema is the JSON schema of the arguments of every echoing tool.
const ToolSchema = tool.Schema

// ParsePlan finds the first plan in a text: "plan:" followed by a JSON object.
func ParsePlan(text string) (Plan, bool) { return script.Parse(text) }

// Describe documents every member of a plan and of a fault, for a help text.
func Describe() string { return script.Describe() }

// Vector returns the embedding of a text. It has the length 1 and depends on
// the text and the dimensions only.
func Vector(text string, dimensions int) []float32 { return embedding.Vector(text, dimensions) }

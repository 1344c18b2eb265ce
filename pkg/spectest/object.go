package spectest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"windlass.dev/windlass/pkg/responses/spec"
)

// Response holds a response object against the specification. What the
// specification does not know is taken out before: hosted tool servers' items,
// choices of them, and tools that are no functions, which the object only
// repeats from the request.
func Response(tb testing.TB, text []byte) error {
	tb.Helper()
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return fmt.Errorf("read a response: %w", err)
	}
	return Schema(tb, "ResponseResource").Validate(withoutHosted(object))
}

// Compaction holds the answer of POST /v1/responses/compact against the
// specification.
func Compaction(tb testing.TB, text []byte) error {
	tb.Helper()
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return fmt.Errorf("read a compaction: %w", err)
	}
	return Schema(tb, "CompactResource").Validate(object)
}

// Event holds a streamed event against the schema that the specification has
// for its type. Events that only OpenAI has, those of hosted tool servers, of
// custom tools and of raw reasoning, are passed; an unknown type is an
// error.
func Event(tb testing.TB, text []byte) error {
	tb.Helper()
	var event map[string]any
	if err := json.Unmarshal(text, &event); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	kind, _ := event["type"].(string)
	name, known := eventSchemas(tb)[kind]
	switch {
	case strings.HasPrefix(kind, "response.mcp_"), strings.HasPrefix(kind, "response.reasoning_text."),
		strings.HasPrefix(kind, "response.custom_tool_call_input."):
		return nil
	case !known:
		return fmt.Errorf("the specification has no event of type %q", kind)
	}
	if response, ok := event["response"].(map[string]any); ok {
		event["response"] = withoutHosted(response)
	}
	if isHosted(event["item"]) {
		event["item"] = nil // which the schema allows
	}
	return Schema(tb, name).Validate(event)
}

// Item holds an item against the specification; hosted ones are passed.
func Item(tb testing.TB, text []byte) error {
	tb.Helper()
	var item map[string]any
	if err := json.Unmarshal(text, &item); err != nil {
		return fmt.Errorf("read an item: %w", err)
	}
	if isHosted(item) {
		return nil
	}
	return Schema(tb, "ItemField").Validate(item)
}

// eventNames reads them once.
var eventNames = sync.OnceValues(readEventNames)

// eventSchemas are the names of the events' schemas, by the type of the event.
func eventSchemas(tb testing.TB) map[string]string {
	tb.Helper()
	names, err := eventNames()
	if err != nil {
		tb.Fatalf("read the events of the specification: %v", err)
	}
	return names
}

// readEventNames finds every schema of an event by its name and reads from it
// what type it has.
func readEventNames() (map[string]string, error) {
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties struct {
					Type struct{ Enum []string }
				}
			}
		}
	}
	if err := json.Unmarshal(spec.Document, &doc); err != nil {
		return nil, err
	}
	names := make(map[string]string)
	for name, schema := range doc.Components.Schemas {
		if !strings.HasSuffix(name, "StreamingEvent") {
			continue
		}
		if len(schema.Properties.Type.Enum) != 1 {
			return nil, errors.New(name + " has not one type")
		}
		names[schema.Properties.Type.Enum[0]] = name
	}
	return names, nil
}

func withoutHosted(response map[string]any) map[string]any {
	if entries, ok := response["output"].([]any); ok {
		response["output"] = slices.DeleteFunc(slices.Clone(entries), isHosted)
	}
	if entries, ok := response["tools"].([]any); ok {
		response["tools"] = slices.DeleteFunc(
			slices.Clone(entries), func(tool any) bool { return typeOf(tool) != "function" },
		)
	}
	if choice, err := json.Marshal(response["tool_choice"]); err == nil &&
		(bytes.Contains(choice, []byte(`"mcp"`)) || bytes.Contains(choice, []byte(`"custom"`))) {
		response["tool_choice"] = "auto"
	}
	return response
}

// isHosted says whether an item is one that only OpenAI has: of a hosted tool
// server, or of a custom tool.
func isHosted(item any) bool {
	return strings.HasPrefix(typeOf(item), "mcp_") || strings.HasPrefix(typeOf(item), "custom_tool_call")
}

func typeOf(entry any) string {
	object, _ := entry.(map[string]any)
	kind, _ := object["type"].(string)
	return kind
}

package hints

import (
	"encoding/json"
	"fmt"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
)

// inputNames are the names of the input by endpoint, with the names that other
// APIs have for it.
var inputNames = map[run.Endpoint]struct {
	name   string
	others []string
	api    string
}{
	run.Responses: {"input", []string{"messages"}, "In the Responses API, this parameter has moved to 'input'."},
	run.ChatCompletions: {
		"messages", []string{"input", "prompt"}, "In the Chat Completions API, this parameter is called 'messages'.",
	},
	run.Embeddings: {
		"input", []string{"prompt", "text", "texts", "messages"}, "In the Embeddings API, this parameter is called 'input'.",
	},
}

// routesByInput are the routes that take a request with such a parameter as it
// is.
var routesByInput = map[string]string{
	"input": "/v1/responses", "messages": "/v1/chat/completions", "prompt": "/v1/completions",
}

// Misplaced explains a missing input by a parameter of another API that is
// there instead, in OpenAI's words. c is the decoded request of a response,
// which may continue another one without an input of its own: its input under
// another name would be lost. f is why the body was refused; Misplaced returns
// it if it has nothing to add.
func Misplaced(endpoint run.Endpoint, body []byte, c *responses.Create, f *fault.Error) *fault.Error {
	input, ok := inputNames[endpoint]
	refused := f != nil && f.Param == input.name && f.Code == "missing_required_parameter"
	absent := refused || f == nil && c != nil && c.Input == nil
	if !ok || !absent {
		return f
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return f
	}
	for _, name := range input.others {
		if v, given := members[name]; !given || string(v) == "null" {
			continue
		}
		message := fmt.Sprintf("Unsupported parameter: '%s'. %s Try again with the new parameter.", name, input.api)
		if route := routesByInput[name]; route != "" && endpoint != run.Embeddings {
			message += fmt.Sprintf(" Or send the request as it is to %s.", route)
		}
		return fault.Invalid(name, "unsupported_parameter", message)
	}
	return f
}

package responsesapi

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/modeltest"
)

// FuzzStream: whatever events an upstream sends, one a line, either its answer
// is refused, or what a client is told of it is a sound stream and what is
// recorded of it can be read again.
func FuzzStream(f *testing.F) {
	for _, events := range [][]string{
		{added("0", newMessage), delta("output_text", "0", `,"content_index":0`, "hi"), end(message(hiText))},
		{added("0", newCall), delta("function_call_arguments", "0", "", "{}"), end(`{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}`)},
		{
			added("0", newReasoning), delta("reasoning_summary_text", "0", `,"summary_index":0`, "s"), added("1", `{"type":"web_search_call"}`), added("2", newMessage),
			`{"type":"response.content_part.added","output_index":2,"content_index":0,"part":{"type":"refusal"}}`,
			end(`{"type":"reasoning","summary":[{"text":"s1"}],"encrypted_content":"x"},` + message(`{"type":"refusal","refusal":"no"},{"type":"output_text","text":"a","logprobs":[1]}`)),
		},
		{
			added("0", newMessage), `{"type":"response.output_text.annotation.added","output_index":0,"annotation":{"type":"\ud800"}}`,
			done("0", message(`{"type":"output_text","text":"","annotations":[{"type":"a","b":[]},{"type":"c"}]}`)), `{"type":"response.incomplete","response":{"status":"incomplete"}}`,
		},
		{`{"type":"error","code":"x"}`},
	} {
		f.Add([]byte(strings.Join(events, "\n")))
	}
	listener := modeltest.New(f, Dialect{}, registry.Responses)
	f.Fuzz(func(t *testing.T, data []byte) { listener.Stream(t, bytes.Split(data, []byte("\n"))) })
}

const newCustom = `{"type":"custom_tool_call","call_id":"c2","name":"p","input":""}`

// FuzzScript is FuzzStream with events that fit together more often: each byte
// chooses one.
func FuzzScript(f *testing.F) {
	const places = 3
	var catalog []string
	for n := range places {
		at := strconv.Itoa(n)
		catalog = append(catalog, added(at, newMessage), added(at, newReasoning), added(at, newCall), added(at, `{"type":"web_search_call"}`),
			added(at, newCustom), delta("custom_tool_call_input", at, "", "a"),
			delta("function_call_arguments", at, "", "a"), delta("reasoning_text", at, `,"content_index":1`, "a"),
			`{"type":"response.output_text.annotation.added","output_index":`+at+`,"annotation":{"type":"x"}}`)
		for _, part := range []string{"0", "1"} {
			catalog = append(catalog, delta("output_text", at, `,"content_index":`+part, "a"), delta("refusal", at, `,"content_index":`+part, "a"),
				delta("reasoning_summary_text", at, `,"summary_index":`+part, "a"),
				`{"type":"response.content_part.added","output_index":`+at+`,"content_index":`+part+`,"part":{"type":"output_text"}}`)
		}
	}
	text, refusal := `{"type":"output_text","text":"aaa","annotations":[{"type":"x"},{"type":"y"}]}`, `{"type":"refusal","refusal":"aaa"}`
	items := []string{
		message(text), message(text + "," + refusal), message(refusal + "," + text), message(""),
		`{"type":"reasoning","summary":[{"text":"aa"},{"text":"aa"}],"content":[{"text":"aaa"}]}`, `{"type":"reasoning","summary":[]}`,
		`{"type":"function_call","call_id":"c1","name":"f","arguments":"aaa"}`, `{"type":"custom_tool_call","call_id":"c2","name":"p","input":"aaa"}`,
		`{"type":"web_search_call"}`,
	}
	f.Add([]byte{0, 9, 9, 8}, []byte{0})
	f.Add([]byte{1, 7, 11, 2 + 17, 6 + 17, 4 + 34, 5 + 34}, []byte{4, 6, 7})
	listener := modeltest.New(f, Dialect{}, registry.Responses)
	f.Fuzz(func(t *testing.T, script, output []byte) {
		var events [][]byte
		for _, c := range script {
			events = append(events, []byte(catalog[int(c)%len(catalog)]))
		}
		var said []string
		for _, c := range output[:min(len(output), places)] {
			said = append(said, items[int(c)%len(items)])
		}
		listener.Stream(t, append(events, []byte(end(strings.Join(said, ",")))))
	})
}

package responsesapi

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/modeltest"
)

// FuzzStream holds that any events, one a line, are either refused or yield
// valid deltas and a record that can be read again.
func FuzzStream(f *testing.F) {
	for _, events := range [][]string{
		{addedEvent("0", newMessage), deltaEvent("output_text", "0", `,"content_index":0`, "hi"), endEvent(messageItem(hiText))},
		{addedEvent("0", newCall), deltaEvent("function_call_arguments", "0", "", "{}"), endEvent(`{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}`)},
		{
			addedEvent("0", newReasoning), deltaEvent("reasoning_summary_text", "0", `,"summary_index":0`, "s"), addedEvent("1", `{"type":"web_search_call"}`), addedEvent("2", newMessage),
			`{"type":"response.content_part.added","output_index":2,"content_index":0,"part":{"type":"refusal"}}`,
			endEvent(`{"type":"reasoning","summary":[{"text":"s1"}],"encrypted_content":"x"},` + messageItem(`{"type":"refusal","refusal":"no"},{"type":"output_text","text":"a","logprobs":[1]}`)),
		},
		{
			addedEvent("0", newMessage), `{"type":"response.output_text.annotation.added","output_index":0,"annotation":{"type":"\ud800"}}`,
			doneEvent("0", messageItem(`{"type":"output_text","text":"","annotations":[{"type":"a","b":[]},{"type":"c"}]}`)), `{"type":"response.incomplete","response":{"status":"incomplete"}}`,
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
		catalog = append(catalog, addedEvent(at, newMessage), addedEvent(at, newReasoning), addedEvent(at, newCall), addedEvent(at, `{"type":"web_search_call"}`),
			addedEvent(at, newCustom), deltaEvent("custom_tool_call_input", at, "", "a"),
			deltaEvent("function_call_arguments", at, "", "a"), deltaEvent("reasoning_text", at, `,"content_index":1`, "a"),
			`{"type":"response.output_text.annotation.added","output_index":`+at+`,"annotation":{"type":"x"}}`)
		for _, part := range []string{"0", "1"} {
			catalog = append(catalog, deltaEvent("output_text", at, `,"content_index":`+part, "a"), deltaEvent("refusal", at, `,"content_index":`+part, "a"),
				deltaEvent("reasoning_summary_text", at, `,"summary_index":`+part, "a"),
				`{"type":"response.content_part.added","output_index":`+at+`,"content_index":`+part+`,"part":{"type":"output_text"}}`)
		}
	}
	text, refusal := `{"type":"output_text","text":"aaa","annotations":[{"type":"x"},{"type":"y"}]}`, `{"type":"refusal","refusal":"aaa"}`
	items := []string{
		messageItem(text), messageItem(text + "," + refusal), messageItem(refusal + "," + text), messageItem(""),
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
		listener.Stream(t, append(events, []byte(endEvent(strings.Join(said, ",")))))
	})
}

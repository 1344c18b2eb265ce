package native

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/chain"
	"windlass.dev/windlass/services/internal/streamcheck"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/plan"
)

// FuzzStream: whatever events an upstream sends, one a line, either its answer is refused, or what a client is told of it is a sound
// stream and what is recorded of it can be read again.
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
	check := listener(f)
	f.Fuzz(func(t *testing.T, data []byte) { check(t, bytes.Split(data, []byte("\n"))) })
}

const newCustom = `{"type":"custom_tool_call","call_id":"c2","name":"p","input":""}`

// FuzzScript is FuzzStream with events that fit together more often: each byte chooses one.
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
	check := listener(f)
	f.Fuzz(func(t *testing.T, script, output []byte) {
		var events [][]byte
		for _, c := range script {
			events = append(events, []byte(catalog[int(c)%len(catalog)]))
		}
		var said []string
		for _, c := range output[:min(len(output), places)] {
			said = append(said, items[int(c)%len(items)])
		}
		check(t, append(events, []byte(end(strings.Join(said, ",")))))
	})
}

// listener checks what comes of events.
func listener(f *testing.F) func(t *testing.T, events [][]byte) {
	f.Helper()
	request, fault := responses.Decode([]byte(`{"model":"m","input":"hi","tools":[{"type":"function","name":"f"},{"type":"custom","name":"p"}]}`))
	if fault != nil {
		f.Fatal(fault)
	}
	reg, err := registry.New(registry.File{Models: []registry.Model{{
		Name: "m", Upstream: registry.Upstream{URL: "http://h", Dialect: registry.Responses},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	tools, err := toolset.Resolve(request, reg)
	if err != nil {
		f.Fatal(err)
	}
	return func(t *testing.T, events [][]byte) {
		t.Helper()
		draft := plan.Begin(plan.State{ID: uuid.Max, Turn: 1, Request: request, Tools: tools, Limits: reg.Limits()})
		response := responses.Response{ID: "resp_1", Request: request, Status: responses.InProgress}
		told := []event.Event{event.Response("response.created", response.JSON()), event.Response("response.in_progress", response.JSON())}
		s := Dialect{}.Stream(func(d model.Delta) { told = append(told, draft.Hear(d)...) })
		for _, e := range events {
			if s.Event(e) != nil {
				return
			}
		}
		a, err := s.Answer()
		if err != nil {
			return
		}
		record, commit, rest := draft.End(a)
		b, err := record.Encode()
		if err != nil {
			t.Fatal(err)
		}
		turns, err := chain.Turns(store.Chain{Steps: []store.Step{{Turn: 1, State: store.StepDone, Output: b}}})
		if err != nil {
			t.Fatalf("the record cannot be read: %v\n%s", err, b)
		}
		if len(commit.Steps) > 0 {
			return // calls of tools that nobody offered are closed by the next turn
		}
		response.Status, response.Output = responses.Completed, chain.Output(turns)
		told = append(append(told, rest...), event.Response("response.completed", response.JSON()))
		var raw []byte
		for n, e := range told {
			raw = e.AppendFrame(raw, n)
		}
		for _, v := range streamcheck.Check(append(raw, event.Done...)) {
			t.Errorf("%s\n%s", v, raw)
		}
	}
}

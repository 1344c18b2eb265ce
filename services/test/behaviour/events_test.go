package behaviour

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
	"windlass.dev/windlass/services/test/streamcheck"
)

// speaker is the upstream of the model "spoken": it answers with the text that
// the last message names, in chunks or whole.
type speaker map[string]spoken

type spoken struct {
	deltas []string // choices; the last one has the finish reason
	whole  string   // the choice of a whole answer
}

const (
	hel = `{"token":"Hel","logprob":-0.25,"bytes":[72,101,108],"top_logprobs":[{"token":"Jel","logprob":-2,"bytes":[74,101,108]}]}`
	lo  = `{"token":"lo","logprob":-1e-05,"bytes":[108,111],"top_logprobs":[]}`
)

var spokenTexts = speaker{
	"logprobs": {
		[]string{
			`{"delta":{"role":"assistant","content":""}}`, `{"delta":{"content":"Hel"},"logprobs":{"content":[` + hel + `]}}`,
			// A server with fewer fields.
			`{"delta":{"content":"lo"},"logprobs":{"content":[{"token":"lo","logprob":-1e-05,"bytes":null}]}}`, `{"delta":{},"finish_reason":"stop"}`,
		},
		`{"message":{"content":"Hello"},"logprobs":{"content":[` + hel + `,` + lo + `]},"finish_reason":"stop"}`,
	},
	"a refusal": {
		[]string{`{"delta":{"refusal":"I "}}`, `{"delta":{"refusal":"won't."}}`, `{"delta":{},"finish_reason":"stop"}`},
		`{"message":{"refusal":"I won't."},"finish_reason":"stop"}`,
	},
	"a text and a refusal": {
		[]string{`{"delta":{"content":"Well. "}}`, `{"delta":{"refusal":"No."}}`, `{"delta":{},"finish_reason":"stop"}`},
		`{"message":{"content":"Well. ","refusal":"No."},"finish_reason":"stop"}`,
	},
	"reasoning": {
		[]string{`{"delta":{"reasoning_content":"H"}}`, `{"delta":{"reasoning_content":"m."}}`, `{"delta":{"content":"So"}}`, `{"delta":{},"finish_reason":"length"}`},
		`{"message":{"reasoning_content":"Hm.","content":"So"},"finish_reason":"length"}`,
	},
}

// annotated is OpenAI's stream of a text with a source: its deltas' logprobs
// have no bytes.
const annotated = `{"type":"response.created","response":{"status":"in_progress"}}
{"type":"response.output_item.added","output_index":0,"item":{"type":"message","role":"assistant","content":[]}}
{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}
{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"lo","logprobs":[{"token":"lo","logprob":-1e-05,"top_logprobs":[]}]}
{"type":"response.output_text.annotation.added","output_index":0,"content_index":0,"annotation_index":0,"annotation":` + source + `}
{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"lo","annotations":[` +
	source + `],"logprobs":[` + lo + `]}]}],"usage":{"input_tokens":1,"output_tokens":2}}}`

const source = `{"type":"url_citation","start_index":0,"end_index":2,"url":"https://x.test/","title":"X"}`

func (s speaker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/responses") {
		w.Header().Set("Content-Type", "text/event-stream")
		for line := range strings.SplitSeq(annotated, "\n") {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", line)
		}
		return
	}
	var asked struct {
		Stream   bool
		Messages []struct{ Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked.Messages) == 0 {
		http.Error(w, "no messages", http.StatusBadRequest)
		return
	}
	said := s[asked.Messages[len(asked.Messages)-1].Content]
	const usage = `"usage":{"prompt_tokens":1,"completion_tokens":2}`
	if !asked.Stream {
		_, _ = fmt.Fprintf(w, `{"choices":[%s],%s}`, said.whole, usage)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, d := range said.deltas {
		_, _ = fmt.Fprintf(w, "data: {\"choices\":[%s]}\n\n", d)
	}
	_, _ = fmt.Fprintf(w, "data: {\"choices\":[],%s}\n\ndata: [DONE]\n\n", usage)
}

func (s speaker) start(t *testing.T) *stack.Stack {
	upstream := httptest.NewServer(s)
	t.Cleanup(upstream.Close)
	return stack.Start(t, func(file *registry.File, _ string) {
		m := file.Models[0]
		m.Name, m.Upstream = "spoken", registry.Upstream{URL: upstream.URL + "/v1"}
		annotated, native := m, file.Models[0]
		annotated.Name, annotated.Upstream.Dialect = "annotated", registry.Responses
		native.Name, native.Upstream.Dialect = "native", registry.Responses
		file.Models = append(file.Models, m, annotated, native)
	})
}

// A streamed and a whole answer give the same output, and every kind of event
// is sent at its place.
func TestEveryEventIsSent(t *testing.T) {
	t.Parallel()
	s := spokenTexts.start(t)
	seen := map[string]bool{}
	note := func(raw []byte) []byte {
		for _, typ := range eventTypes(raw) {
			seen[typ] = true
		}
		return raw
	}
	for text := range spokenTexts {
		fields := stack.Fields{"model": "spoken", "input": text, "tools": nil, "include": []string{"message.output_text.logprobs"}, "top_logprobs": 1}
		streamed := stack.Streamed(t, note(s.Stream(t, mock.Plan{}, fields)))
		equal(t, text, contents(t, s.Ask(t, mock.Plan{}, fields)), contents(t, streamed))
	}
	for _, plan := range []mock.Plan{
		{Seed: 9000, Rounds: 1, Width: 2, Tools: []string{"lookup", "mock_echo"}},
		{Seed: 9001, Rounds: 1, ToolFaults: []mock.Fault{{Status: 400}}},
		{Seed: 9002, ModelFaults: []mock.Fault{{Status: 400}}},
	} {
		note(s.Stream(t, plan, stack.Fields{"tools": []stack.Fields{hosted, lookup}, "background": true}))
	}
	note(s.Stream(t, mock.Plan{Seed: 9003, Reasoning: "hm hm"}, stack.Fields{"model": "native", "reasoning": stack.Fields{"summary": "auto"}}))
	note(s.Stream(t, mock.Plan{Seed: 9004, Rounds: 1, Tool: "patch"}, stack.Fields{
		"model": "native", "tools": []stack.Fields{{"type": "custom", "name": "patch"}},
	}))
	noted := stack.Streamed(t, note(s.Stream(t, mock.Plan{}, stack.Fields{"model": "annotated", "input": "x", "tools": nil})))
	if text := string(noted.JSON); !strings.Contains(text, `"annotations":[`+source+`]`) || !strings.Contains(text, `"logprobs":[`+lo+`]`) {
		t.Errorf("a text with a source ends as %s", text)
	}
	for _, typ := range openapitest.EventTypes(t) {
		if !seen[typ] && typ != "error" { // sent only if frames are lost

			t.Errorf("no stream has %s", typ)
		}
	}
}

// contents returns the output without its ids.
func contents(tb testing.TB, r stack.Response) []any {
	tb.Helper()
	var object struct{ Output []map[string]any }
	if err := json.Unmarshal(r.JSON, &object); err != nil {
		tb.Fatal(err)
	}
	var all []any
	for _, it := range object.Output {
		all = append(all, it["type"], it["status"], it["content"])
	}
	return all
}

// A delta has its logprobs, and the text has all of them.
func TestLogprobs(t *testing.T) {
	t.Parallel()
	s := spokenTexts.start(t)
	raw := s.Stream(t, mock.Plan{}, stack.Fields{"model": "spoken", "input": "logprobs", "include": []string{"message.output_text.logprobs"}})
	var got []string
	frames, _ := streamcheck.Frames(raw)
	for _, f := range frames {
		var e struct {
			Logprobs json.RawMessage
			Part     struct{ Logprobs json.RawMessage }
			Item     struct {
				Type    string
				Content []struct{ Logprobs json.RawMessage }
			}
		}
		if f.Event == "" || json.Unmarshal(f.Data, &e) != nil {
			continue
		}
		switch {
		case e.Logprobs != nil:
			got = append(got, f.Event+" "+string(e.Logprobs))
		case e.Part.Logprobs != nil:
			got = append(got, f.Event+" "+string(e.Part.Logprobs))
		case e.Item.Type == "message" && len(e.Item.Content) > 0:
			got = append(got, f.Event+" "+string(e.Item.Content[0].Logprobs))
		}
	}
	all := " [" + hel + "," + lo + "]"
	want := []string{
		"response.content_part.added []", "response.output_text.delta [" + hel + "]", "response.output_text.delta [" + lo + "]",
		"response.output_text.done" + all, "response.content_part.done" + all, "response.output_item.done" + all,
	}
	equal(t, "logprobs", want, got)
}

// A request's items are returned with all required members.
func TestImagesAndFilesAreGivenBack(t *testing.T) {
	t.Parallel()
	s := spokenTexts.start(t)
	picture := "data:image/png;base64," + strings.Repeat("iVBORw0K", 50_000)
	r := s.Ask(t, mock.Plan{}, stack.Fields{"input": []stack.Fields{{"role": "user", "content": []stack.Fields{
		{"type": "input_image", "image_url": picture},
		{"type": "input_image", "image_url": "https://x.test/a.png", "detail": "high"},
		{"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
		{"type": "input_file", "file_id": "file-1"},
		{"type": "input_text", "text": mock.Plan{Seed: 9010, Text: "seen"}.Prompt()},
	}}}})
	completed(t, r, "seen")
	page := call(t, s, http.MethodGet, "/v1/responses/"+r.ID+"/input_items", nil, http.StatusOK)
	got := page["data"].([]any)[0].(map[string]any)["content"].([]any)
	want := []any{
		map[string]any{"type": "input_image", "image_url": picture, "detail": "auto"},
		map[string]any{"type": "input_image", "image_url": "https://x.test/a.png", "detail": "high"},
		map[string]any{"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
		map[string]any{"type": "input_file", "file_id": "file-1"},
	}
	if !slices.EqualFunc(want, got[:4], func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("the parts are %.2000v", got)
	}
}

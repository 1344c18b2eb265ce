package streamcheck

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	createdEvent = `{"type":"response.created","response":{"id":"resp_1","status":"queued","output":[]}}`
	messageItem  = `{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[` + textPart + `]}`
	textPart     = `{"type":"output_text","text":"Hello you","annotations":[],"logprobs":[]}`
	reasonItem   = `{"type":"reasoning","id":"rs_1","status":"completed","summary":[` + summaryPart + `],"content":[{"type":"reasoning_text","text":"Hm."}]}`
	summaryPart  = `{"type":"summary_text","text":"thought"}`
	callItem     = `{"type":"function_call","id":"fc_1","status":"completed","call_id":"c","name":"f","arguments":"{\"a\":1}"}`
	hostedItem   = `{"type":"mcp_call","id":"mcp_1","status":"completed","server_label":"windlass","name":"g","arguments":"{}","output":"1"}`
)

// good has every kind of item in sequence, except the two calls, which are open
// together. The cases below use the names before the tab.
const good = `created	` + createdEvent + `
queued	{"type":"response.queued","response":{"id":"resp_1","status":"queued","output":[]}}
begun	{"type":"response.in_progress","response":{"id":"resp_1","status":"in_progress","output":[]}}
reason	{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","status":"in_progress","summary":[]}}
reason part	{"type":"response.content_part.added","item_id":"rs_1","output_index":0,"content_index":0,"part":{"type":"reasoning_text","text":""}}
reason delta	{"type":"response.reasoning.delta","item_id":"rs_1","output_index":0,"content_index":0,"delta":"Hm."}
reason text	{"type":"response.reasoning.done","item_id":"rs_1","output_index":0,"content_index":0,"text":"Hm."}
reason part done	{"type":"response.content_part.done","item_id":"rs_1","output_index":0,"content_index":0,"part":{"type":"reasoning_text","text":"Hm."}}
summary part	{"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}
summary delta	{"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":0,"delta":"thought"}
summary text	{"type":"response.reasoning_summary_text.done","item_id":"rs_1","output_index":0,"summary_index":0,"text":"thought"}
summary part done	{"type":"response.reasoning_summary_part.done","item_id":"rs_1","output_index":0,"summary_index":0,"part":` + summaryPart + `}
reason done	{"type":"response.output_item.done","output_index":0,"item":` + reasonItem + `}
call	{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc_1","status":"in_progress","call_id":"c","name":"f","arguments":""}}
hosted	{"type":"response.output_item.added","output_index":2,"item":{"type":"mcp_call","id":"mcp_1","status":"in_progress","server_label":"windlass","name":"g","arguments":""}}
hosted begun	{"type":"response.mcp_call.in_progress","item_id":"mcp_1","output_index":2}
hosted delta	{"type":"response.mcp_call_arguments.delta","item_id":"mcp_1","output_index":2,"delta":"{}"}
hosted arguments	{"type":"response.mcp_call_arguments.done","item_id":"mcp_1","output_index":2,"arguments":"{}"}
call delta	{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":1,"delta":"{\"a\":"}
call delta 2	{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":1,"delta":"1}"}
call arguments	{"type":"response.function_call_arguments.done","item_id":"fc_1","output_index":1,"name":"f","arguments":"{\"a\":1}"}
call done	{"type":"response.output_item.done","output_index":1,"item":` + callItem + `}
hosted ended	{"type":"response.mcp_call.completed","item_id":"mcp_1","output_index":2}
hosted done	{"type":"response.output_item.done","output_index":2,"item":` + hostedItem + `}
message	{"type":"response.output_item.added","output_index":3,"item":{"type":"message","id":"msg_1","status":"in_progress","role":"assistant","content":[]}}
part	{"type":"response.content_part.added","item_id":"msg_1","output_index":3,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}
delta	{"type":"response.output_text.delta","item_id":"msg_1","output_index":3,"content_index":0,"delta":"Hello ","logprobs":[]}
delta 2	{"type":"response.output_text.delta","item_id":"msg_1","output_index":3,"content_index":0,"delta":"you","logprobs":[]}
text	{"type":"response.output_text.done","item_id":"msg_1","output_index":3,"content_index":0,"text":"Hello you","logprobs":[]}
part done	{"type":"response.content_part.done","item_id":"msg_1","output_index":3,"content_index":0,"part":` + textPart + `}
message done	{"type":"response.output_item.done","output_index":3,"item":` + messageItem + `}
completed	{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[` +
	reasonItem + `,` + callItem + `,` + hostedItem + `,` + messageItem + `]}}`

// script is a stream that a case may break.
type script []string // name, tab, event

func goodScript() script { return strings.Split(good, "\n") }

func (s script) place(name string) int {
	i := slices.IndexFunc(s, func(line string) bool { return strings.HasPrefix(line, name+"\t") })
	if i < 0 {
		panic("no event is named " + name)
	}
	return i
}

func (s script) without(names ...string) script {
	for _, name := range names {
		s = slices.Delete(s, s.place(name), s.place(name)+1)
	}
	return s
}

func (s script) change(name, old, by string) script {
	i := s.place(name)
	changed := strings.Replace(s[i], old, by, 1)
	if changed == s[i] {
		panic(name + " has no " + old)
	}
	s[i] = changed
	return s
}

func (s script) after(name string, events ...string) script {
	for i := range events {
		events[i] = fmt.Sprintf("new %d\t%s", i, events[i])
	}
	return slices.Insert(s, s.place(name)+1, events...)
}

func (s script) until(name string) script { return s[:s.place(name)+1] }

// raw numbers and frames the events, except those that have a number.
func (s script) raw() []byte {
	var b bytes.Buffer
	for n, data := range s.messages() {
		typ, _, _ := strings.Cut(strings.SplitN(string(data), `"type":"`, 2)[1], `"`)
		if n == 1 {
			b.WriteString(": keep-alive\n\n")
		}
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", typ, data)
	}
	b.WriteString("data: [DONE]\n\n")
	return b.Bytes()
}

func (s script) messages() [][]byte {
	messages := make([][]byte, len(s))
	for n, line := range s {
		_, data, _ := strings.Cut(line, "\t")
		if !strings.Contains(data, `"sequence_number"`) {
			data = strings.TrimSuffix(data, "}") + fmt.Sprintf(`,"sequence_number":%d}`, n)
		}
		messages[n] = []byte(data)
	}
	return messages
}

// rules returns the names of the violated rules, each once, in order.
func rules(violations []Violation) []string {
	var names []string
	for _, v := range violations {
		if !slices.Contains(names, v.Rule) {
			names = append(names, v.Rule)
		}
	}
	return names
}

func TestAGoodStreamHasNoViolation(t *testing.T) {
	t.Parallel()
	for _, v := range Check(goodScript().raw()) {
		t.Error(v)
	}
	for _, v := range CheckMessages(goodScript().messages()) {
		t.Error("as messages: ", v)
	}
	raw := goodScript().raw()
	for _, cut := range []int{0, 1, 40, len(raw) / 2, len(raw) - 1} {
		for _, v := range CheckStart(raw[:cut]) {
			t.Errorf("cut after %d bytes: %v", cut, v)
		}
	}
	// A slow terminal sends CRLF, which browsers read, too.
	for _, v := range Check(bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))) {
		t.Error("with CRLF: ", v)
	}
}

func TestOtherGoodEndings(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]script{
		"cancelled in the middle of a text, with what there was": goodScript().until("delta").after("delta",
			`{"type":"response.failed","response":{"id":"resp_1","status":"cancelled","output":[`+reasonItem+`]}}`),
		"an error, then failed": goodScript().until("begun").after("begun",
			`{"type":"error","message":"m","code":"c","param":null,"error":{"type":"server_error","code":"c","message":"m","param":null}}`,
			`{"type":"response.failed","response":{"id":"resp_1","status":"failed","output":[]}}`),
		"cut off by a limit": goodScript().until("begun").after("begun",
			`{"type":"response.incomplete","response":{"id":"resp_1","status":"incomplete","output":[]}}`),
		"a vendor's own event":         goodScript().after("begun", `{"type":"acme:heartbeat"}`),
		"another hosted tool's events": goodScript().after("hosted done").change("hosted begun", "mcp_call.in_progress", "web_search_call.searching").change("hosted", "mcp_call", "web_search_call").without("hosted delta", "hosted arguments").change("hosted ended", "mcp_call", "web_search_call").change("hosted done", `"type":"mcp_call"`, `"type":"web_search_call"`).change("hosted done", `"arguments":"{}"`, `"arguments":""`).change("completed", `"type":"mcp_call"`, `"type":"web_search_call"`).change("completed", `"arguments":"{}"`, `"arguments":""`),
		"a snapshot without the message that was begun": goodScript().after("delta",
			`{"type":"response.in_progress","response":{"id":"resp_1","status":"in_progress","output":[`+reasonItem+`,`+callItem+`,`+hostedItem+`]}}`,
			`{"type":"response.output_item.added","output_index":3,"item":{"type":"message","id":"msg_1","status":"in_progress","role":"assistant","content":[]}}`,
			`{"type":"response.content_part.added","item_id":"msg_1","output_index":3,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}`,
			`{"type":"response.output_text.delta","item_id":"msg_1","output_index":3,"content_index":0,"delta":"Hello ","logprobs":[]}`),
		"a snapshot with a call that continues": goodScript().after("hosted arguments",
			`{"type":"response.in_progress","response":{"id":"resp_1","status":"in_progress","output":[`+reasonItem+`,`+
				strings.Replace(callItem, "completed", "in_progress", 1)+`,`+strings.Replace(hostedItem, "completed", "in_progress", 1)+`]}}`),
	} {
		for _, v := range Check(s.raw()) {
			t.Errorf("%s: %v", name, v)
		}
	}
}

func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		broken script
		want   []string
	}{
		"a number is left out":                 {goodScript().change("begun", `{"type"`, `{"sequence_number":7,"type"`), []string{"sequence"}},
		"an event has no number":               {goodScript().change("delta", `{"type"`, `{"sequence_number":null,"type"`), []string{"sequence"}},
		"no created":                           {goodScript().without("created"), []string{"order"}},
		"created twice":                        {goodScript().after("created", createdEvent), []string{"order"}},
		"no in_progress":                       {goodScript().without("begun"), []string{"order"}},
		"queued after in_progress":             {goodScript().without("queued").after("begun", `{"type":"response.queued","response":{"id":"resp_1","status":"queued","output":[]}}`), []string{"order"}},
		"no terminal event":                    {goodScript().without("completed"), []string{"order"}},
		"two terminal events":                  {goodScript().after("completed", `{"type":"response.failed","response":{"id":"resp_1","status":"failed","output":[]}}`), []string{"order"}},
		"something after the terminal event":   {goodScript().after("completed", `{"type":"response.mcp_call.in_progress","item_id":"mcp_1","output_index":2}`), []string{"order", "item"}},
		"another response's end":               {goodScript().change("completed", "resp_1", "resp_2"), []string{"order"}},
		"a status that is not the event's":     {goodScript().change("completed", `"status":"completed","output"`, `"status":"in_progress","output"`), []string{"order"}},
		"an unknown event":                     {goodScript().after("begun", `{"type":"response.heartbeat"}`), []string{"order"}},
		"an error member, even null":           {goodScript().change("delta", `{"type"`, `{"error":null,"type"`), []string{"error"}},
		"an error that is not flat":            {goodScript().until("begun").after("begun", `{"type":"error","error":{"message":"m"}}`, `{"type":"response.failed","response":{"id":"resp_1","status":"failed","output":[]}}`), []string{"error"}},
		"an error that nothing follows":        {goodScript().until("begun").after("begun", `{"type":"error","message":"m","error":{"message":"m"}}`), []string{"order"}},
		"an error in the middle":               {goodScript().after("begun", `{"type":"error","message":"m","error":{"message":"m"}}`), []string{"order"}},
		"a delta before its item":              {goodScript().without("message"), []string{"item", "final"}},
		"a delta before its part":              {goodScript().without("part"), []string{"item", "text"}},
		"a delta after its text":               {goodScript().after("text", `{"type":"response.output_text.delta","item_id":"msg_1","output_index":3,"content_index":0,"delta":"!"}`), []string{"item"}},
		"a delta of another item":              {goodScript().change("delta", "msg_1", "msg_2"), []string{"item", "text"}},
		"a delta of another kind":              {goodScript().change("delta", "output_text", "refusal"), []string{"item", "text"}},
		"a delta after the item":               {goodScript().after("message done", `{"type":"response.output_text.delta","item_id":"msg_1","output_index":3,"content_index":0,"delta":"!"}`), []string{"item"}},
		"an output index that is skipped":      {goodScript().change("message", `"output_index":3`, `"output_index":4`), []string{"item"}},
		"a content index that is skipped":      {goodScript().change("part", `"content_index":0`, `"content_index":1`), []string{"item"}},
		"an item twice":                        {goodScript().change("message", "msg_1", "mcp_1"), []string{"item", "final"}},
		"an item with text from the start":     {goodScript().change("call", `"arguments":""`, `"arguments":"{"`), []string{"text"}},
		"a part with text from the start":      {goodScript().change("part", `"text":""`, `"text":"H"`), []string{"text"}},
		"a delta lost":                         {goodScript().without("delta 2"), []string{"text"}},
		"an arguments delta lost":              {goodScript().without("call delta 2"), []string{"text"}},
		"the deltas of a hosted call lost":     {goodScript().without("hosted delta", "hosted arguments"), []string{"text"}},
		"a summary delta lost":                 {goodScript().without("summary delta"), []string{"text"}},
		"a text that is never done":            {goodScript().without("text"), []string{"text"}},
		"a part that is never done":            {goodScript().without("part done"), []string{"item"}},
		"arguments that are never done":        {goodScript().without("call arguments"), []string{"text"}},
		"an item that is never done":           {goodScript().without("message done"), []string{"final"}},
		"an item done with another text":       {goodScript().change("message done", "Hello", "Hallo"), []string{"text", "final"}},
		"a last object with another text":      {goodScript().change("completed", "Hello", "Hallo"), []string{"final"}},
		"a last object without an item":        {goodScript().change("completed", `,`+messageItem, ``), []string{"final"}},
		"a last object in another order":       {goodScript().change("completed", reasonItem+`,`+callItem, callItem+`,`+reasonItem), []string{"final"}},
		"a hosted call that no event ended":    {goodScript().without("hosted ended"), []string{"item"}},
		"a hosted call ended as what it isn't": {goodScript().change("hosted ended", "mcp_call.completed", "mcp_call.failed"), []string{"item"}},
		"a hosted call ended twice":            {goodScript().after("hosted ended", `{"type":"response.mcp_call.failed","item_id":"mcp_1","output_index":2}`), []string{"item"}},
		"a hosted call's event of a function":  {goodScript().change("hosted begun", `"mcp_1","output_index":2`, `"fc_1","output_index":1`), []string{"item"}},
		"a snapshot that rewrites": {goodScript().after("delta", `{"type":"response.in_progress","response":{"id":"resp_1","status":"in_progress","output":[`+
			strings.Replace(reasonItem, "Hm.", "Hum.", 1)+`]}}`).until("new 0").after("new 0", `{"type":"response.failed","response":{"id":"resp_1","status":"failed","output":[]}}`), []string{"final"}},
		"a delta of what the snapshot forgot": {goodScript().until("delta").after("delta",
			`{"type":"response.in_progress","response":{"id":"resp_1","status":"in_progress","output":[]}}`,
			`{"type":"response.output_text.delta","item_id":"msg_1","output_index":3,"content_index":0,"delta":"Hello "}`,
			`{"type":"response.failed","response":{"id":"resp_1","status":"failed","output":[]}}`), []string{"item"}},
		"a failed end with an item that never was": {goodScript().until("begun").after("begun",
			`{"type":"response.failed","response":{"id":"resp_1","status":"failed","output":[`+messageItem+`]}}`), []string{"final"}},
	} {
		if diff := cmp.Diff(tt.want, rules(Check(tt.broken.raw()))); diff != "" {
			t.Errorf("%s (-want +got):\n%s%v", name, diff, Check(tt.broken.raw()))
		}
	}
}

func TestBrokenFrames(t *testing.T) {
	t.Parallel()
	raw := string(goodScript().raw())
	for name, tt := range map[string]struct {
		old, by string
		want    []string
	}{
		"no [DONE]":               {"data: [DONE]\n\n", "", []string{"framing"}},
		"[DONE] twice":            {"data: [DONE]\n\n", "data: [DONE]\n\ndata: [DONE]\n\n", []string{"framing"}},
		"half a [DONE]":           {"data: [DONE]\n\n", "data: [DONE]\n", []string{"framing"}},
		"an id":                   {"event: response.queued", "id: 1\nevent: response.queued", []string{"framing"}},
		"no event line":           {"event: response.queued\n", "", []string{"framing"}},
		"an event of another":     {"event: response.queued\n", "event: response.created\n", []string{"framing"}},
		"two data lines":          {`,"response":{"id":"resp_1","status":"queued"`, ",\ndata: " + `"response":{"id":"resp_1","status":"queued"`, []string{"framing"}},
		"data that is no JSON":    {`{"type":"response.queued"`, `{"type":response.queued"`, []string{"framing", "sequence"}},
		"no blank line after one": {"\n\nevent: response.in_progress", "\nevent: response.in_progress", []string{"framing", "order", "sequence"}},
	} {
		broken := strings.Replace(raw, tt.old, tt.by, 1)
		if broken == raw {
			t.Fatalf("%s: nothing was changed", name)
		}
		got := rules(Check([]byte(broken)))
		slices.Sort(got)
		slices.Sort(tt.want)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s%v", name, diff, Check([]byte(broken)))
		}
	}
}

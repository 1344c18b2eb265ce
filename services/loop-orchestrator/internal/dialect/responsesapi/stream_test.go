package responsesapi

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

func added(output, it string) string {
	return `{"type":"response.output_item.added","output_index":` + output + `,"item":` + it + `}`
}

func delta(typ, output, rest, text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return `{"type":"response.` + typ + `.delta","output_index":` + output + rest + `,"delta":` + string(quoted) + `}`
}

func done(output, it string) string {
	return `{"type":"response.output_item.done","output_index":` + output + `,"item":` + it + `}`
}

func end(items string) string {
	return `{"type":"response.completed","response":` + completed(items) + `}`
}

const (
	newMessage   = `{"type":"message","id":"msg_u","role":"assistant","status":"in_progress","content":[]}`
	newReasoning = `{"type":"reasoning","id":"rs_u","summary":[]}`
	newCall      = `{"type":"function_call","id":"fc_u","call_id":"c1","name":"f","arguments":""}`
	hiText       = `{"type":"output_text","text":"hi there"}`
)

// heard streams the events and returns what was heard and the answer.
func heard(events ...string) (deltas []model.Delta, a model.Answer, err error) {
	s := Dialect{}.Stream(func(d model.Delta) { deltas = append(deltas, d) })
	for _, e := range events {
		if e == "[DONE]" {
			s.Done()
			continue
		}
		if err := s.Event([]byte(e)); err != nil {
			return deltas, model.Answer{}, err
		}
	}
	a, err = s.Answer()
	return deltas, a, err
}

func TestStream(t *testing.T) {
	t.Parallel()
	piece := func(output int, kind model.Kind, part int, p item.Part) model.Delta {
		return model.Delta{Output: output, Kind: kind, Part: part, Piece: p}
	}
	c1 := func(output int, arguments string) model.Delta {
		return model.Delta{Output: output, Kind: model.Function, Call: model.ToolCall{ID: "c1", Name: "f", Arguments: arguments}}
	}
	hi := []model.Delta{
		piece(0, model.Message, 0, item.Part{}), piece(0, model.Message, 0, item.Part{Type: "output_text", Text: "hi "}),
		piece(0, model.Message, 0, item.Part{Type: "output_text", Text: "there"}),
	}
	spelt := []string{added("0", newMessage), delta("output_text", "0", `,"content_index":0`, "hi "), delta("output_text", "0", `,"content_index":0`, "there")}
	const fullReasoning = `{"type":"reasoning","id":"rs_u","summary":[{"type":"summary_text","text":"s1"},{"type":"summary_text","text":"s2"}],
		"content":[{"type":"reasoning_text","text":"ab"}],"encrypted_content":"sealed"}`
	const fullCall = `{"type":"function_call","id":"fc_u","call_id":"c1","name":"f","arguments":"{\"a\":1}"}`
	for _, tt := range []struct {
		name   string
		events []string
		deltas []model.Delta
		want   model.Answer
	}{
		{"text", append(spelt, end(message(hiText))), hi, answer(model.Stopped, said("hi there"))},
		{
			"every kind, in its order",
			[]string{
				`{"type":"response.created","response":{"status":"in_progress"}}`, `{"type":"keepalive","delta":{"odd":1}}`,
				added("0", newReasoning), delta("reasoning_summary_text", "0", `,"summary_index":0`, "s1"), delta("reasoning_summary_text", "0", `,"summary_index":1`, "s2"),
				delta("reasoning_text", "0", `,"content_index":0`, "a"), delta("reasoning", "0", `,"content_index":1`, "b"), done("0", fullReasoning),
				added("1", `{"type":"web_search_call","id":"ws"}`), delta("output_text", "1", "", "unheard"),
				added("2", newCall), delta("function_call_arguments", "2", "", `{"a"`), delta("function_call_arguments", "2", "", `:1}`), done("2", fullCall),
				added("3", newMessage),
				`{"type":"response.content_part.added","output_index":3,"content_index":0,"part":{"type":"output_text","text":""}}`,
				delta("output_text", "3", `,"content_index":0,"logprobs":[ {"token":"x","logprob":-1} ]`, "x"), delta("output_text", "3", `,"content_index":0`, ""),
				`{"type":"response.output_text.annotation.added","output_index":3,"content_index":0,"annotation_index":0,"annotation":{"type": "file_citation"}}`,
				delta("refusal", "3", `,"content_index":1`, "no"),
				end(fullReasoning + `,{"type":"web_search_call","id":"ws"},` + fullCall + `,` + message(`{"type":"output_text","text":"xy","annotations":[{"type":"file_citation"}],"logprobs":[{"token":"x","logprob":-1,"bytes":[120],"top_logprobs":[]}]},{"type":"refusal","refusal":"no"}`)),
				`{"type":"response.output_text.delta"}`,
			},
			[]model.Delta{
				piece(0, model.Reasoning, 0, item.Part{}), piece(0, model.Reasoning, 0, item.Part{Type: "summary_text", Text: "s1"}),
				piece(0, model.Reasoning, 1, item.Part{Type: "summary_text", Text: "s2"}), piece(0, model.Reasoning, 0, item.Part{Type: "reasoning_text", Text: "a"}),
				piece(0, model.Reasoning, 0, item.Part{Type: "reasoning_text", Text: "b"}), c1(1, ""), c1(1, `{"a"`), c1(1, `:1}`),
				piece(2, model.Message, 0, item.Part{}), piece(2, model.Message, 0, item.Part{Type: "output_text"}),
				piece(2, model.Message, 0, item.Part{Type: "output_text", Text: "x", Logprobs: json.RawMessage(`[{"token":"x","logprob":-1,"bytes":[120],"top_logprobs":[]}]`)}),
				piece(2, model.Message, 0, item.Part{Type: "output_text", Annotations: json.RawMessage(`[{"type":"file_citation"}]`)}),
				piece(2, model.Message, 1, item.Part{Type: "refusal", Text: "no"}),
			},
			answer(model.Stopped, thought(item.Reasoning{Summary: []string{"s1", "s2"}, Text: "ab", Encrypted: "sealed"}), called("c1", "f", `{"a":1}`),
				spoke(item.Part{
					Type: "output_text", Text: "xy",
					Annotations: json.RawMessage(`[{"type":"file_citation"}]`), Logprobs: json.RawMessage(`[{"token":"x","logprob":-1,"bytes":[120],"top_logprobs":[]}]`),
				}, item.Part{Type: "refusal", Text: "no"})),
		},
		{
			"a custom tool's call",
			[]string{
				added("0", `{"type":"custom_tool_call","call_id":"c1","name":"patch","input":""}`), delta("custom_tool_call_input", "0", "", "*** "),
				end(`{"type":"custom_tool_call","call_id":"c1","name":"patch","input":"*** any"}`),
			},
			[]model.Delta{
				{Kind: model.Custom, Call: model.ToolCall{ID: "c1", Name: "patch"}},
				{Kind: model.Custom, Call: model.ToolCall{ID: "c1", Name: "patch", Arguments: "*** "}},
			},
			answer(model.Stopped, keptCall(model.Output{Kind: model.Custom, Call: model.ToolCall{ID: "c1", Name: "patch", Arguments: "*** any"}})),
		},
		{
			"a call of another id in the end",
			[]string{added("0", newCall), end(`{"type":"function_call","call_id":"c2","name":"f","arguments":"{}"}`)},
			[]model.Delta{c1(0, "")},
			answer(model.Stopped, called("c1", "f", "{}")),
		},
		{
			"items that are named by their ids",
			[]string{
				`{"type":"response.output_item.added","item":{"type":"web_search_call","id":"ws_u"}}`,
				`{"type":"response.output_item.added","item":` + newMessage + `}`,
				`{"type":"response.output_text.delta","item_id":"ws_u","delta":"unheard"}`,
				`{"type":"response.output_text.delta","item_id":"msg_u","delta":"hi "}`,
				`{"type":"response.output_item.added","item":` + newCall + `}`,
				`{"type":"response.output_text.delta","item_id":"msg_u","delta":"there"}`,
				`{"type":"response.output_item.done","item":` + message(hiText) + `}`, `{"type":"response.output_item.done","item":` + fullCall + `}`, end(""),
			},
			[]model.Delta{hi[0], hi[1], c1(1, ""), hi[2]},
			answer(model.Stopped, said("hi there"), called("c1", "f", `{"a":1}`)),
		},
		{"an end without output", append(spelt, done("0", message(hiText)), end("")), hi, answer(model.Stopped, said("hi there"))},
		{"items that are only finished", []string{done("1", fullCall), done("0", message(hiText)), end("")}, nil, answer(model.Stopped, said("hi there"), called("c1", "f", `{"a":1}`))},
		{"the end alone", []string{end(message(hiText))}, nil, answer(model.Stopped, said("hi there"))},
		{
			"cut", append(spelt, `{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[`+message(hiText)+`]}}`),
			hi, answer(model.Length, said("hi there")),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			deltas, got, err := heard(tt.events...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.deltas, deltas); diff != "" {
				t.Errorf("heard (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	text := delta("output_text", "0", `,"content_index":0`, "hi")
	for _, tt := range []struct {
		name   string
		events []string
		err    error
	}{
		{"nothing", nil, model.ErrBrokenOff},
		{"no end", []string{added("0", newMessage), text, done("0", message(hiText))}, model.ErrBrokenOff},
		{"no JSON", []string{`{"type":`}, model.ErrMalformed},
		{"no object", []string{`7`}, model.ErrMalformed},
		{"an end without a response", []string{`{"type":"response.completed"}`}, model.ErrMalformed},
		{"an end that is none", []string{`{"type":"response.completed","response":{"status":"queued"}}`}, model.ErrMalformed},
		{"a piece of nothing", []string{text}, model.ErrBrokenOff},
		{"a piece of an item that nobody named", []string{added("0", newMessage), `{"type":"response.output_text.delta","delta":"a"}`}, model.ErrBrokenOff},
		{"arguments of nothing", []string{delta("function_call_arguments", "0", "", "{")}, model.ErrBrokenOff},
		{"a piece of another kind", []string{added("0", newCall), text}, model.ErrBrokenOff},
		{"arguments of a message", []string{added("0", newMessage), delta("function_call_arguments", "0", "", "{")}, model.ErrBrokenOff},
		{"a piece that is no text", []string{added("0", newMessage), `{"type":"response.output_text.delta","output_index":0,"delta":{}}`}, model.ErrBrokenOff},
		{"a part below the first", []string{added("0", newMessage), delta("output_text", "0", `,"content_index":-1`, "x")}, model.ErrBrokenOff},
		{"a part beyond all", []string{added("0", newMessage), delta("output_text", "0", `,"content_index":4096`, "x")}, model.ErrBrokenOff},
		{"a part that is none", []string{added("0", newMessage), `{"type":"response.content_part.added","output_index":0,"part":7}`}, model.ErrBrokenOff},
		{"an item twice", []string{added("0", newMessage), added("0", newMessage)}, model.ErrBrokenOff},
		{"items out of order", []string{added("1", newMessage), added("0", newCall)}, model.ErrBrokenOff},
		{"an item beyond all", []string{added("4096", newMessage)}, model.ErrBrokenOff},
		{"an item that is none", []string{added("0", `"x"`)}, model.ErrBrokenOff},
		{"an item that wants an answer", []string{added("0", `{"type":"computer_call"}`)}, model.ErrMalformed},
		{"a call without a name", []string{added("0", `{"type":"function_call","call_id":"c"}`)}, model.ErrBrokenOff},
		{"a custom call that became a function's", []string{
			added("0", `{"type":"custom_tool_call","call_id":"c1","name":"f"}`), end(`{"type":"function_call","call_id":"c1","name":"f","arguments":""}`),
		}, errContradiction},
		{"a call in another namespace", []string{added("0", newCall), end(`{"type":"function_call","call_id":"c1","namespace":"n","name":"f","arguments":""}`)}, errContradiction},
		{"a call of another name", []string{added("0", newCall), end(`{"type":"function_call","call_id":"c1","name":"g","arguments":""}`)}, errContradiction},
		{
			"other arguments",
			[]string{added("0", newCall), delta("function_call_arguments", "0", "", "{"), end(`{"type":"function_call","call_id":"c1","name":"f","arguments":"[]"}`)},
			errContradiction,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, a, err := heard(tt.events...); !errors.Is(err, tt.err) {
				t.Errorf("error %v with %+v, want %v", err, a, tt.err)
			}
		})
	}
}

// What was streamed is the answer, whatever is missing around it and whatever
// the last event makes of it.
func TestWhatWasStreamedStands(t *testing.T) {
	t.Parallel()
	text := delta("output_text", "0", `,"content_index":0`, "hi there")
	hi := []string{added("0", newMessage), text}
	last := func(items string) string { return `{"type":"response.completed","response":` + items + `}` }
	bare := func(typ, rest string) string { return `{"type":"response.` + typ + `"` + rest + `}` }
	whole := answer(model.Stopped, said("hi there"))
	refused := item.Part{Type: "refusal", Text: "no"}
	call := added("0", newCall)
	for _, tt := range []struct {
		name   string
		events []string
		want   model.Answer
	}{
		{"without output", append(hi, end("")), whole},
		{"of an item that begins with all of it", []string{added("0", message(hiText)), end("")}, whole},
		{"without a response", append(hi, `{"type":"response.completed"}`), whole},
		{"whose output is missing", append(hi, last(`{"status":"completed"}`)), whole},
		{"whose output is null", append(hi, last(`{"status":"completed","output":null}`)), whole},
		{"without a status", append(hi, last(`{"output":[]}`)), whole},
		{"with a status of before", append(hi, last(`{"status":"in_progress","output":[]}`)), whole},
		{"with the last piece only", append(hi, end(message(`{"type":"output_text","text":"e"}`))), whole},
		{"with the last piece only, behind the item", append(hi[:2:2], done("0", message(hiText)), end(message(`{"type":"output_text","text":"e"}`))), whole},
		{"with a call that is written in another way", []string{
			call, delta("function_call_arguments", "0", "", `{"a":1}`), done("0", `{"type":"function_call","id":"fc_u","call_id":"c1","name":"f","arguments":"{\"a\":1}"}`),
			end(`{"type":"function_call","id":"fc_x","call_id":"cx","name":"f","arguments":"{\"a\": 1}"}`),
		}, answer(model.Stopped, called("c1", "f", `{"a":1}`))},
		{"with another text", append(hi, end(message(`{"type":"output_text","text":"no"}`))), whole},
		{"with another part", append(hi, end(message(`{"type":"refusal","refusal":"hi there"}`))), whole},
		{"with more of it", append(hi, end(message(`{"type":"output_text","text":"hi there, you"}`))), answer(model.Stopped, said("hi there, you"))},
		{"with usage of other types", append(hi, last(`{"status":"completed","usage":{"input_tokens":"3","output_tokens":4.0}}`)), model.Answer{
			Finish: model.Stopped, Outputs: whole.Outputs, Usage: responses.Usage{InputTokens: 3, OutputTokens: 4},
		}},
		{"cut", append(hi, bare("incomplete", `,"response":{"incomplete_details":"max_output_tokens"}`)), answer(model.Length, said("hi there"))},
		{"with an item more", append(hi, end(message(hiText)+`,{"type":"function_call","call_id":"c1","name":"f","arguments":{}}`)), answer(model.Stopped, said("hi there"), called("c1", "f", "{}"))},
		{"that is only marked", append(hi, done("0", message(hiText)), "[DONE]"), whole},
		{"of events without items", []string{text, end("")}, whole},
		{"of events without places", []string{bare("output_text.delta", `,"delta":"hi "`), bare("output_text.delta", `,"delta":"there"`), end("")}, whole},
		{"of places that are all one", []string{
			added("0", newReasoning), added("0", newMessage), bare("output_text.delta", `,"item_id":"msg_u","output_index":0,"delta":"hi there"`),
			bare("reasoning_text.delta", `,"item_id":"rs_u","output_index":0,"delta":"hm"`), end(""),
		}, answer(model.Stopped, openThought(`{"content":[{"text":"hm","type":"reasoning_text"}],"id":"rs_u","summary":[],"type":"reasoning"}`, item.Reasoning{Text: "hm"}), said("hi there"))},
		{"of items begun twice", append(hi[:1:1], hi[0], text, end("")), whole},
		{"of items out of order", []string{added("1", newMessage), added("0", newCall), delta("output_text", "1", "", "hi there"), end("")}, answer(model.Stopped, said("hi there"), called("c1", "f", ""))},
		{"of parts that begin at odd places", []string{added("0", newMessage), delta("output_text", "0", `,"content_index":7`, "hi there"), delta("refusal", "0", `,"content_index":-1`, "no"), end("")}, answer(model.Stopped, spoke(item.Part{Type: "output_text", Text: "hi there"}, refused))},
		{"of a part that is told whole", append(hi[:1:1], bare("output_text.done", `,"output_index":0,"text":"hi there"`), end("")), whole},
		{"of pieces and the part once more", append(hi, bare("output_text.done", `,"output_index":0,"text":"hi there"`), end("")), whole},
		{"of pieces and the rest", append(hi[:1:1], delta("output_text", "0", "", "hi "), bare("output_text.done", `,"output_index":0,"text":"hi there"`), end("")), whole},
		{"a call of an object", []string{call, `{"type":"response.function_call_arguments.delta","output_index":0,"delta":{"a": 1}}`, end("")}, answer(model.Stopped, called("c1", "f", `{"a":1}`))},
		{"a call whose name comes in the end", []string{added("0", `{"type":"function_call","id":"fc_u"}`), delta("function_call_arguments", "0", "", "{"), done("0", `{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}`), end("")}, answer(model.Stopped, called("c1", "f", "{}"))},
		{"a call without arguments", []string{call, end("")}, answer(model.Stopped, called("c1", "f", ""))},
		{"a call that was cut", []string{call, delta("function_call_arguments", "0", "", `{"a"`), bare("incomplete", `,"response":{"incomplete_details":{"reason":"max_output_tokens"}}`)}, answer(model.Length, called("c1", "f", `{"a"`))},
		{"a message that became a call", []string{added("0", newMessage), end(`{"type":"function_call","call_id":"c1","name":"f","arguments":""}`)}, answer(model.Stopped, spoke(), called("c1", "f", ""))},
		{"a summary that is gone", []string{added("0", newReasoning), delta("reasoning_summary_text", "0", "", "a"), end(newReasoning)}, answer(model.Stopped, openThought(`{"content":[],"id":"rs_u","summary":[{"text":"a","type":"summary_text"}],"type":"reasoning"}`, item.Reasoning{Summary: []string{"a"}}))},
		{"items that are none", append(hi, added("1", `"x"`), `{"type":"response.content_part.added","output_index":0,"part":7}`, end("")), whole},
		{"items of others", append(hi, added("1", `{"type":"web_search_call","id":"ws"}`), bare("output_text.delta", `,"item_id":"ws","delta":"unheard"`), end("")), whole},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, got, err := heard(tt.events...)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// openThought is reasoning that is not sealed, and what goes back of it.
func openThought(kept string, r item.Reasoning) model.Output {
	return model.Output{Kind: model.Reasoning, Reasoning: r, Own: json.RawMessage(kept)}
}

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

func addedEvent(output, it string) string {
	return `{"type":"response.output_item.added","output_index":` + output + `,"item":` + it + `}`
}

func deltaEvent(typ, output, rest, text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return `{"type":"response.` + typ + `.delta","output_index":` + output + rest + `,"delta":` + string(quoted) + `}`
}

func doneEvent(output, it string) string {
	return `{"type":"response.output_item.done","output_index":` + output + `,"item":` + it + `}`
}

func endEvent(items string) string {
	return `{"type":"response.completed","response":` + completedResponse(items) + `}`
}

const (
	newMessage   = `{"type":"message","id":"msg_u","role":"assistant","status":"in_progress","content":[]}`
	newReasoning = `{"type":"reasoning","id":"rs_u","summary":[]}`
	newCall      = `{"type":"function_call","id":"fc_u","call_id":"c1","name":"f","arguments":""}`
	hiText       = `{"type":"output_text","text":"hi there"}`
)

// readStream reads events and returns the deltas and the answer.
func readStream(events ...string) (deltas []model.Delta, a model.Answer, err error) {
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
	spelt := []string{addedEvent("0", newMessage), deltaEvent("output_text", "0", `,"content_index":0`, "hi "), deltaEvent("output_text", "0", `,"content_index":0`, "there")}
	const fullReasoning = `{"type":"reasoning","id":"rs_u","summary":[{"type":"summary_text","text":"s1"},{"type":"summary_text","text":"s2"}],
		"content":[{"type":"reasoning_text","text":"ab"}],"encrypted_content":"sealed"}`
	const fullCall = `{"type":"function_call","id":"fc_u","call_id":"c1","name":"f","arguments":"{\"a\":1}"}`
	for _, tt := range []struct {
		name   string
		events []string
		deltas []model.Delta
		want   model.Answer
	}{
		{"text", append(spelt, endEvent(messageItem(hiText))), hi, newAnswer(model.Stopped, textOutput("hi there"))},
		{
			"every kind, in its order",
			[]string{
				`{"type":"response.created","response":{"status":"in_progress"}}`, `{"type":"keepalive","delta":{"odd":1}}`,
				addedEvent("0", newReasoning), deltaEvent("reasoning_summary_text", "0", `,"summary_index":0`, "s1"), deltaEvent("reasoning_summary_text", "0", `,"summary_index":1`, "s2"),
				deltaEvent("reasoning_text", "0", `,"content_index":0`, "a"), deltaEvent("reasoning", "0", `,"content_index":1`, "b"), doneEvent("0", fullReasoning),
				addedEvent("1", `{"type":"web_search_call","id":"ws"}`), deltaEvent("output_text", "1", "", "unheard"),
				addedEvent("2", newCall), deltaEvent("function_call_arguments", "2", "", `{"a"`), deltaEvent("function_call_arguments", "2", "", `:1}`), doneEvent("2", fullCall),
				addedEvent("3", newMessage),
				`{"type":"response.content_part.added","output_index":3,"content_index":0,"part":{"type":"output_text","text":""}}`,
				deltaEvent("output_text", "3", `,"content_index":0,"logprobs":[ {"token":"x","logprob":-1} ]`, "x"), deltaEvent("output_text", "3", `,"content_index":0`, ""),
				`{"type":"response.output_text.annotation.added","output_index":3,"content_index":0,"annotation_index":0,"annotation":{"type": "file_citation"}}`,
				deltaEvent("refusal", "3", `,"content_index":1`, "no"),
				endEvent(fullReasoning + `,{"type":"web_search_call","id":"ws"},` + fullCall + `,` + messageItem(`{"type":"output_text","text":"xy","annotations":[{"type":"file_citation"}],"logprobs":[{"token":"x","logprob":-1,"bytes":[120],"top_logprobs":[]}]},{"type":"refusal","refusal":"no"}`)),
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
			newAnswer(model.Stopped, reasoningOutput(item.Reasoning{Summary: []string{"s1", "s2"}, Text: "ab", Encrypted: "sealed"}), callOutput("c1", "f", `{"a":1}`),
				messageOutput(item.Part{
					Type: "output_text", Text: "xy",
					Annotations: json.RawMessage(`[{"type":"file_citation"}]`), Logprobs: json.RawMessage(`[{"token":"x","logprob":-1,"bytes":[120],"top_logprobs":[]}]`),
				}, item.Part{Type: "refusal", Text: "no"})),
		},
		{
			"a custom tool's call",
			[]string{
				addedEvent("0", `{"type":"custom_tool_call","call_id":"c1","name":"patch","input":""}`), deltaEvent("custom_tool_call_input", "0", "", "*** "),
				endEvent(`{"type":"custom_tool_call","call_id":"c1","name":"patch","input":"*** any"}`),
			},
			[]model.Delta{
				{Kind: model.Custom, Call: model.ToolCall{ID: "c1", Name: "patch"}},
				{Kind: model.Custom, Call: model.ToolCall{ID: "c1", Name: "patch", Arguments: "*** "}},
			},
			newAnswer(model.Stopped, withCallOwn(model.Output{Kind: model.Custom, Call: model.ToolCall{ID: "c1", Name: "patch", Arguments: "*** any"}})),
		},
		{
			"a call of another id in the end",
			[]string{addedEvent("0", newCall), endEvent(`{"type":"function_call","call_id":"c2","name":"f","arguments":"{}"}`)},
			[]model.Delta{c1(0, "")},
			newAnswer(model.Stopped, callOutput("c1", "f", "{}")),
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
				`{"type":"response.output_item.done","item":` + messageItem(hiText) + `}`, `{"type":"response.output_item.done","item":` + fullCall + `}`, endEvent(""),
			},
			[]model.Delta{hi[0], hi[1], c1(1, ""), hi[2]},
			newAnswer(model.Stopped, textOutput("hi there"), callOutput("c1", "f", `{"a":1}`)),
		},
		{"an end without output", append(spelt, doneEvent("0", messageItem(hiText)), endEvent("")), hi, newAnswer(model.Stopped, textOutput("hi there"))},
		{"items that are only finished", []string{doneEvent("1", fullCall), doneEvent("0", messageItem(hiText)), endEvent("")}, nil, newAnswer(model.Stopped, textOutput("hi there"), callOutput("c1", "f", `{"a":1}`))},
		{"the end alone", []string{endEvent(messageItem(hiText))}, nil, newAnswer(model.Stopped, textOutput("hi there"))},
		{
			"cut", append(spelt, `{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[`+messageItem(hiText)+`]}}`),
			hi, newAnswer(model.Length, textOutput("hi there")),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			deltas, got, err := readStream(tt.events...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.deltas, deltas); diff != "" {
				t.Errorf("deltas (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	text := deltaEvent("output_text", "0", `,"content_index":0`, "hi")
	for _, tt := range []struct {
		name   string
		events []string
		err    error
	}{
		{"nothing", nil, model.ErrBrokenOff},
		{"no end", []string{addedEvent("0", newMessage), text, doneEvent("0", messageItem(hiText))}, model.ErrBrokenOff},
		{"no JSON", []string{`{"type":`}, model.ErrMalformed},
		{"no object", []string{`7`}, model.ErrMalformed},
		{"an end without a response", []string{`{"type":"response.completed"}`}, model.ErrMalformed},
		{"an end of a queued response", []string{`{"type":"response.completed","response":{"status":"queued"}}`}, model.ErrMalformed},
		{"a piece of nothing", []string{text}, model.ErrBrokenOff},
		{"a piece of an unknown item", []string{addedEvent("0", newMessage), `{"type":"response.output_text.delta","delta":"a"}`}, model.ErrBrokenOff},
		{"arguments of nothing", []string{deltaEvent("function_call_arguments", "0", "", "{")}, model.ErrBrokenOff},
		{"a piece of another kind", []string{addedEvent("0", newCall), text}, model.ErrBrokenOff},
		{"arguments of a message", []string{addedEvent("0", newMessage), deltaEvent("function_call_arguments", "0", "", "{")}, model.ErrBrokenOff},
		{"a piece that is no text", []string{addedEvent("0", newMessage), `{"type":"response.output_text.delta","output_index":0,"delta":{}}`}, model.ErrBrokenOff},
		{"a part below the first", []string{addedEvent("0", newMessage), deltaEvent("output_text", "0", `,"content_index":-1`, "x")}, model.ErrBrokenOff},
		{"a part beyond all", []string{addedEvent("0", newMessage), deltaEvent("output_text", "0", `,"content_index":4096`, "x")}, model.ErrBrokenOff},
		{"a part that is a number", []string{addedEvent("0", newMessage), `{"type":"response.content_part.added","output_index":0,"part":7}`}, model.ErrBrokenOff},
		{"an item twice", []string{addedEvent("0", newMessage), addedEvent("0", newMessage)}, model.ErrBrokenOff},
		{"items out of order", []string{addedEvent("1", newMessage), addedEvent("0", newCall)}, model.ErrBrokenOff},
		{"an item beyond all", []string{addedEvent("4096", newMessage)}, model.ErrBrokenOff},
		{"an item that is none", []string{addedEvent("0", `"x"`)}, model.ErrBrokenOff},
		{"an item that wants an answer", []string{addedEvent("0", `{"type":"computer_call"}`)}, model.ErrMalformed},
		{"a call without a name", []string{addedEvent("0", `{"type":"function_call","call_id":"c"}`)}, model.ErrBrokenOff},
		{"a custom call that became a function's", []string{
			addedEvent("0", `{"type":"custom_tool_call","call_id":"c1","name":"f"}`), endEvent(`{"type":"function_call","call_id":"c1","name":"f","arguments":""}`),
		}, errContradiction},
		{"a call in another namespace", []string{addedEvent("0", newCall), endEvent(`{"type":"function_call","call_id":"c1","namespace":"n","name":"f","arguments":""}`)}, errContradiction},
		{"a call of another name", []string{addedEvent("0", newCall), endEvent(`{"type":"function_call","call_id":"c1","name":"g","arguments":""}`)}, errContradiction},
		{
			"other arguments",
			[]string{addedEvent("0", newCall), deltaEvent("function_call_arguments", "0", "", "{"), endEvent(`{"type":"function_call","call_id":"c1","name":"f","arguments":"[]"}`)},
			errContradiction,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, a, err := readStream(tt.events...); !errors.Is(err, tt.err) {
				t.Errorf("error %v with %+v, want %v", err, a, tt.err)
			}
		})
	}
}

// The streamed text is the answer, whatever the other events lack or change.
func TestWhatWasStreamedStands(t *testing.T) {
	t.Parallel()
	text := deltaEvent("output_text", "0", `,"content_index":0`, "hi there")
	hi := []string{addedEvent("0", newMessage), text}
	last := func(items string) string { return `{"type":"response.completed","response":` + items + `}` }
	bare := func(typ, rest string) string { return `{"type":"response.` + typ + `"` + rest + `}` }
	whole := newAnswer(model.Stopped, textOutput("hi there"))
	refused := item.Part{Type: "refusal", Text: "no"}
	call := addedEvent("0", newCall)
	for _, tt := range []struct {
		name   string
		events []string
		want   model.Answer
	}{
		{"without output", append(hi, endEvent("")), whole},
		{"of an item that begins with all of it", []string{addedEvent("0", messageItem(hiText)), endEvent("")}, whole},
		{"without a response", append(hi, `{"type":"response.completed"}`), whole},
		{"whose output is missing", append(hi, last(`{"status":"completed"}`)), whole},
		{"whose output is null", append(hi, last(`{"status":"completed","output":null}`)), whole},
		{"without a status", append(hi, last(`{"output":[]}`)), whole},
		{"with a status of before", append(hi, last(`{"status":"in_progress","output":[]}`)), whole},
		{"with the last piece only", append(hi, endEvent(messageItem(`{"type":"output_text","text":"e"}`))), whole},
		{"with the last piece only, behind the item", append(hi[:2:2], doneEvent("0", messageItem(hiText)), endEvent(messageItem(`{"type":"output_text","text":"e"}`))), whole},
		{"with a call that is written in another way", []string{
			call, deltaEvent("function_call_arguments", "0", "", `{"a":1}`), doneEvent("0", `{"type":"function_call","id":"fc_u","call_id":"c1","name":"f","arguments":"{\"a\":1}"}`),
			endEvent(`{"type":"function_call","id":"fc_x","call_id":"cx","name":"f","arguments":"{\"a\": 1}"}`),
		}, newAnswer(model.Stopped, callOutput("c1", "f", `{"a":1}`))},
		{"with another text", append(hi, endEvent(messageItem(`{"type":"output_text","text":"no"}`))), whole},
		{"with another part", append(hi, endEvent(messageItem(`{"type":"refusal","refusal":"hi there"}`))), whole},
		{"with more of it", append(hi, endEvent(messageItem(`{"type":"output_text","text":"hi there, you"}`))), newAnswer(model.Stopped, textOutput("hi there, you"))},
		{"with usage of other types", append(hi, last(`{"status":"completed","usage":{"input_tokens":"3","output_tokens":4.0}}`)), model.Answer{
			Finish: model.Stopped, Outputs: whole.Outputs, Usage: responses.Usage{InputTokens: 3, OutputTokens: 4},
		}},
		{"cut", append(hi, bare("incomplete", `,"response":{"incomplete_details":"max_output_tokens"}`)), newAnswer(model.Length, textOutput("hi there"))},
		{"with an item more", append(hi, endEvent(messageItem(hiText)+`,{"type":"function_call","call_id":"c1","name":"f","arguments":{}}`)), newAnswer(model.Stopped, textOutput("hi there"), callOutput("c1", "f", "{}"))},
		{"that is only marked", append(hi, doneEvent("0", messageItem(hiText)), "[DONE]"), whole},
		{"of events without items", []string{text, endEvent("")}, whole},
		{"of events without places", []string{bare("output_text.delta", `,"delta":"hi "`), bare("output_text.delta", `,"delta":"there"`), endEvent("")}, whole},
		{"of places that are all one", []string{
			addedEvent("0", newReasoning), addedEvent("0", newMessage), bare("output_text.delta", `,"item_id":"msg_u","output_index":0,"delta":"hi there"`),
			bare("reasoning_text.delta", `,"item_id":"rs_u","output_index":0,"delta":"hm"`), endEvent(""),
		}, newAnswer(model.Stopped, plainReasoning(`{"content":[{"text":"hm","type":"reasoning_text"}],"id":"rs_u","summary":[],"type":"reasoning"}`, item.Reasoning{Text: "hm"}), textOutput("hi there"))},
		{"of items begun twice", append(hi[:1:1], hi[0], text, endEvent("")), whole},
		{"of items out of order", []string{addedEvent("1", newMessage), addedEvent("0", newCall), deltaEvent("output_text", "1", "", "hi there"), endEvent("")}, newAnswer(model.Stopped, textOutput("hi there"), callOutput("c1", "f", ""))},
		{"of parts that begin at odd places", []string{addedEvent("0", newMessage), deltaEvent("output_text", "0", `,"content_index":7`, "hi there"), deltaEvent("refusal", "0", `,"content_index":-1`, "no"), endEvent("")}, newAnswer(model.Stopped, messageOutput(item.Part{Type: "output_text", Text: "hi there"}, refused))},
		{"of a part in one piece", append(hi[:1:1], bare("output_text.done", `,"output_index":0,"text":"hi there"`), endEvent("")), whole},
		{"of pieces and the part once more", append(hi, bare("output_text.done", `,"output_index":0,"text":"hi there"`), endEvent("")), whole},
		{"of pieces and the rest", append(hi[:1:1], deltaEvent("output_text", "0", "", "hi "), bare("output_text.done", `,"output_index":0,"text":"hi there"`), endEvent("")), whole},
		{"a call of an object", []string{call, `{"type":"response.function_call_arguments.delta","output_index":0,"delta":{"a": 1}}`, endEvent("")}, newAnswer(model.Stopped, callOutput("c1", "f", `{"a":1}`))},
		{"a call whose name comes in the end", []string{addedEvent("0", `{"type":"function_call","id":"fc_u"}`), deltaEvent("function_call_arguments", "0", "", "{"), doneEvent("0", `{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}`), endEvent("")}, newAnswer(model.Stopped, callOutput("c1", "f", "{}"))},
		{"a call without arguments", []string{call, endEvent("")}, newAnswer(model.Stopped, callOutput("c1", "f", ""))},
		{"a call that was cut", []string{call, deltaEvent("function_call_arguments", "0", "", `{"a"`), bare("incomplete", `,"response":{"incomplete_details":{"reason":"max_output_tokens"}}`)}, newAnswer(model.Length, callOutput("c1", "f", `{"a"`))},
		{"a message that became a call", []string{addedEvent("0", newMessage), endEvent(`{"type":"function_call","call_id":"c1","name":"f","arguments":""}`)}, newAnswer(model.Stopped, messageOutput(), callOutput("c1", "f", ""))},
		{"a summary that is gone", []string{addedEvent("0", newReasoning), deltaEvent("reasoning_summary_text", "0", "", "a"), endEvent(newReasoning)}, newAnswer(model.Stopped, plainReasoning(`{"content":[],"id":"rs_u","summary":[{"text":"a","type":"summary_text"}],"type":"reasoning"}`, item.Reasoning{Summary: []string{"a"}}))},
		{"items that are strings", append(hi, addedEvent("1", `"x"`), `{"type":"response.content_part.added","output_index":0,"part":7}`, endEvent("")), whole},
		{"items of others", append(hi, addedEvent("1", `{"type":"web_search_call","id":"ws"}`), bare("output_text.delta", `,"item_id":"ws","delta":"unheard"`), endEvent("")), whole},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, got, err := readStream(tt.events...)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// plainReasoning returns reasoning that is not encrypted, with what is sent
// back of it.
func plainReasoning(kept string, r item.Reasoning) model.Output {
	return model.Output{Kind: model.Reasoning, Reasoning: r, Own: json.RawMessage(kept)}
}

package behaviour

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// jealous is an upstream that refuses a history in which one of its own turns
// lacks a member that it attached. It is also the tool that its model calls,
// which answers nothing. As the model "stranger" it refuses all of these
// members.
type jealous struct{}

// attachedCall is the call of every turn: every turn has the same id.
const attachedCall = `{"index":0,"id":"functions.note:0","type":"function","extra_content":{"google":{"thought_signature":"c2lnbmF0dXJl"}},"function":{"name":%q,"arguments":""}}`

const attachedMessage = `"reasoning_content":"I need it","reasoning_details":[{"type":"reasoning.text","text":"I need it","signature":"s","index":0}]`

type jealousRequest struct {
	Model    string
	Stream   bool
	Messages []map[string]any
	Tools    []struct{ Function struct{ Name string } }
}

func (j jealous) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/tools/") {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var in jealousRequest
	fault := "it is unreadable"
	if json.NewDecoder(r.Body).Decode(&in) == nil {
		fault = in.fault()
	}
	if fault != "" {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"message": fault}})
		return
	}
	message := `"content":"done"`
	if last := in.Messages[len(in.Messages)-1]; last["role"] == "user" && in.Model != "stranger" {
		message = attachedMessage + `,"tool_calls":[` + fmt.Sprintf(attachedCall, in.Tools[0].Function.Name) + `]`
	}
	if !in.Stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"choices":[{"message":{"role":"assistant",%s},"finish_reason":"end_turn"}]}`, message)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, delta := range []string{`"role":"assistant","content":""`, message} {
		_, _ = fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":\"\"}]}\n\n", delta)
	}
	_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
}

// fault returns what is wrong with a history; "" if it is right.
func (in jealousRequest) fault() string {
	var want map[string]any
	text := fmt.Sprintf(`{"role":"assistant","content":null,%s,"tool_calls":[%s]}`, attachedMessage, strings.Replace(fmt.Sprintf(attachedCall, "N"), `""`, `"{}"`, 1))
	if json.Unmarshal([]byte(text), &want) != nil {
		return "the test is wrong: " + text
	}
	call := want["tool_calls"].([]any)[0].(map[string]any)
	delete(call, "index")
	results := 0
	for n, m := range in.Messages {
		switch {
		case m["role"] == "tool" && m["content"] == "":
			return "a tool's output is empty"
		case m["role"] == "tool":
			results++
		case m["tool_calls"] == nil:
			continue
		}
		if m["role"] == "assistant" {
			results--
		}
		own := m["tool_call_id"] == "functions.note:0"
		if m["role"] == "assistant" {
			call["function"].(map[string]any)["name"] = m["tool_calls"].([]any)[0].(map[string]any)["function"].(map[string]any)["name"]
			own = reflect.DeepEqual(want, m)
		}
		got, _ := json.Marshal(m)
		if in.Model != "stranger" && !own {
			return fmt.Sprintf("message %d is %s", n, got)
		}
		if in.Model == "stranger" && (strings.Contains(string(got), "reasoning") || strings.Contains(string(got), "extra_content")) {
			return fmt.Sprintf("message %d has what another upstream attached: %s", n, got)
		}
	}
	if results != 0 {
		return fmt.Sprintf("%d results more than calls", results)
	}
	return ""
}

// TestWhatUpstreamsAttach holds that an upstream gets its own ids, its
// reasoning and its other members back with every turn: in a run, in a
// continued response, for the client's functions and in a conversation. No
// other upstream gets them.
func TestWhatUpstreamsAttach(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(jealous{})
	t.Cleanup(upstream.Close)
	s := stack.Start(t, models(t), func(file *registry.File, _ string) {
		for _, name := range []string{"thinker", "stranger"} {
			m := file.Models[0]
			m.Name, m.Upstream = name, registry.Upstream{URL: upstream.URL + "/v1"}
			file.Models = append(file.Models, m)
		}
		file.Tools = []registry.Tool{{Name: "note", URL: upstream.URL + "/tools/note", AllowPrivate: true}}
	})
	for _, streamed := range []bool{false, true} {
		ask := func(t *testing.T, fields stack.Fields) stack.Response {
			t.Helper()
			if streamed {
				return stack.Streamed(t, s.Stream(t, mock.Plan{}, fields))
			}
			return s.Ask(t, mock.Plan{}, fields)
		}
		run := func(more stack.Fields) stack.Fields {
			fields := stack.Fields{"model": "thinker", "input": "hi", "tools": []stack.Fields{hosted}}
			for name, v := range more {
				fields[name] = v
			}
			return fields
		}
		name := map[bool]string{false: "whole", true: "streamed"}[streamed]
		t.Run("a run and its continuation, "+name, func(t *testing.T) {
			t.Parallel()
			first := ask(t, run(nil))
			completed(t, first, "done")
			second := ask(t, run(stack.Fields{"previous_response_id": first.ID}))
			completed(t, second, "done")
			completed(t, ask(t, run(stack.Fields{"previous_response_id": second.ID, "model": "stranger"})), "done")
			if calls := first.Calls("mcp_call"); len(calls) != 1 || calls[0].Arguments != "{}" || *calls[0].Output != "" {
				t.Errorf("the client sees the calls %+v", calls)
			}
		})
		t.Run("the client's functions, "+name, func(t *testing.T) {
			t.Parallel()
			functions := stack.Fields{"tools": []stack.Fields{lookup}}
			ids := map[string]bool{}
			var last stack.Response
			for n := range 3 {
				if n > 0 {
					functions["previous_response_id"] = last.ID
				}
				asked := ask(t, run(functions))
				calls := asked.Calls("function_call")
				if len(calls) != 1 || calls[0].Arguments != "{}" || ids[calls[0].CallID] {
					t.Fatalf("the client sees the calls %+v behind %v\n%s", calls, ids, excerpt(asked.JSON))
				}
				ids[calls[0].CallID] = true
				last = ask(t, run(stack.Fields{"previous_response_id": asked.ID, "tools": []stack.Fields{lookup}, "input": []stack.Fields{
					{"type": "function_call_output", "call_id": calls[0].CallID, "output": ""},
				}}))
				completed(t, last, "done")
			}
		})
		t.Run("a conversation, "+name, func(t *testing.T) {
			t.Parallel()
			in := stack.Fields{"conversation": newConversation(t, s)}
			completed(t, ask(t, run(in)), "done")
			completed(t, ask(t, run(in)), "done")
			in["model"] = "stranger"
			completed(t, ask(t, run(in)), "done")
		})
	}
}

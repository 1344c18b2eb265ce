package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/run"
)

// unknownPrevious: I17. An id of another tenant is answered like one that names
// nothing, word for word.
func unknownPrevious(t *testing.T, in *inputs) {
	for _, name := range []string{"unknown", "malformed", "foreign", "unstored", "deleted"} {
		in.all(t, ask(name, `"previous_response_id":"{`+name+`}"`, "previous_response_id", "previous_response_not_found", "Previous response with id '{"+name+"}' not found."))
	}
	in.all(t,
		ask("one whose own is deleted", `"previous_response_id":"{orphan}"`, "previous_response_id", "previous_response_not_found", "Previous response with id '{deleted}' not found."),
		ask("an id of another kind", `"previous_response_id":"conv_1"`, "previous_response_id", "previous_response_not_found", "Previous response with id 'conv_1' not found."),
		ask("a subject", `"previous_response_id":"resp_*.>"`, "previous_response_id", "previous_response_not_found", "Previous response with id 'resp_*.>' not found."),
		ask("10 kB", `"previous_response_id":"resp_`+strings.Repeat("a", 10_000)+`"`, "previous_response_id", "previous_response_not_found", "Previous response with id 'resp_"+strings.Repeat("a", 75)+"...' not found."),
		ask("for a stream", `"previous_response_id":"{unknown}","stream":true`, "previous_response_id", "previous_response_not_found", ""),
		acceptCase("one that is there", `"previous_response_id":"{completed}"`, `"previous_response_id":"{completed}"`, ""),
		bad{name: "nothing but one", body: `{"model":"m","background":true,"previous_response_id":"{completed}"}`, status: http.StatusOK, echo: `"previous_response_id":"{completed}"`},
		acceptCase("one that was cut off", `"previous_response_id":"{incomplete}"`, `"previous_response_id":"{incomplete}"`, ""),
	)
	s := []string{}
	for _, id := range []string{unknown, in.ids["foreign"]} {
		r := in.call("POST", create, `{"model":"m","input":"x","previous_response_id":"`+id+`"}`)
		s = append(s, strings.ReplaceAll(string(r.body), id, ""))
	}
	if s[0] != s[1] {
		t.Errorf("another tenant's id is answered %s, one that names nothing %s", s[1], s[0])
	}
}

// unfitPrevious: I18. A response in flight is not waited for, and one that
// failed or was cancelled, with calls that will have no outputs, is not
// continued.
func unfitPrevious() []bad {
	notReady := func(name, id, status string) bad {
		return ask(name, `"previous_response_id":"{`+id+`}"`, "previous_response_id", "previous_response_not_ready",
			"Previous response with id '{"+id+"}' is still "+status+". Continue it when it is completed.")
	}
	ended := func(name, id, status string) bad {
		return ask(name, `"previous_response_id":"{`+id+`}"`, "previous_response_id", "previous_response_failed",
			"Previous response with id '{"+id+"}' is "+status+" and cannot be continued.")
	}
	all := []bad{
		notReady("queued", "queued", "queued"), notReady("in progress", "running", "in_progress"),
		ended("failed", "failed", "failed"), ended("cancelled", "cancelled", "cancelled"), ended("past its deadline", "expired", "failed"),
	}
	for _, b := range all[:3] {
		b.name, b.body = b.name+", for a stream", strings.Replace(b.body, `"input":"x"`, `"input":"x","stream":true`, 1)
		all = append(all, b)
	}
	return append(all, ask("cancelled, and a call of it answered", `"previous_response_id":"{cancelled}","input":[{"type":"function_call_output","call_id":"c1","output":"x"}]`,
		"previous_response_id", "previous_response_failed", "Previous response with id '{cancelled}' is cancelled and cannot be continued."))
}

// lostReferences: I19.
func lostReferences() []bad {
	lost := func(name, id string) bad {
		return ask(name, `"input":[{"role":"user","content":"x"},{"type":"item_reference","id":"`+id+`"}]`, "input", nil,
			"Item with id '"+id+"' not found. Items are not persisted when `store` is set to false.").as(http.StatusNotFound)
	}
	of := func(id, tail string) string { return "msg_{digits of " + id + "}" + tail }
	return []bad{
		lost("unknown", "rs_123"), lost("of a response that is not stored", of("unstored", "_in0000")),
		lost("of another tenant's response", of("foreign", "_in0000")), lost("of a deleted response", of("deleted", "_in0000")),
		lost("beyond the input", of("completed", "_in0009")), lost("a response", "{completed}"), lost("a subject", "msg_*.>"), lost("empty", ""),
		ask("by its id alone", `"input":[{"id":"rs_123"}]`, "input", nil, "Item with id 'rs_123' not found.").as(http.StatusNotFound),
		ask("twice", `"input":[{"id":"rs_1"},{"id":"rs_1"}]`, "input", nil, "Duplicate item found with id rs_1. Remove duplicate items from your input and try again."),
	}
}

// unknownResponses: I21, at every route of a response.
func unknownResponses(t *testing.T, in *inputs) {
	routes := []string{"GET ", "DELETE ", "POST /cancel", "GET /input_items", "GET /steps", "GET ?stream=true"}
	for _, name := range []string{"unknown", "malformed", "foreign", "unstored", "deleted"} {
		for _, route := range routes {
			method, below, _ := strings.Cut(route, " ")
			in.all(t, bad{
				name: name + " " + route, method: method, path: create + "/{" + name + "}" + below, status: http.StatusNotFound,
				message: "Response with id '{" + name + "}' not found.",
			})
		}
	}
	in.all(t,
		bad{name: "cancel of a foreground response", path: create + "/{foreground}/cancel", message: "Cannot cancel a synchronous response."},
		bad{name: "delete of a queued one", method: "DELETE", path: create + "/{queued}", code: "response_in_progress", message: "Cannot delete the response '{queued}': it is still queued."},
		bad{name: "delete of one in progress", method: "DELETE", path: create + "/{running}", code: "response_in_progress", message: "Cannot delete the response '{running}': it is still in_progress."},
		bad{name: "a conversation", method: "GET", path: "/v1/conversations/conv_0123456789abcdef0123456789abcdef", status: http.StatusNotFound, message: "Conversation with id 'conv_0123456789abcdef0123456789abcdef' not found."},
		bad{name: "an item of one", method: "GET", path: "/v1/conversations/{conversation}/items/msg_1", status: http.StatusNotFound, message: "Item with id 'msg_1' not found"},
		bad{name: "the steps of a call", method: "GET", path: "/v1/requests/req_0123456789abcdef0123456789abcdef/steps", status: http.StatusNotFound, message: "Request with id 'req_0123456789abcdef0123456789abcdef' not found."},
		bad{name: "a model", method: "GET", path: "/v1/models/gpt-x", status: http.StatusNotFound, param: "model", code: "model_not_found", message: "The model 'gpt-x' does not exist"},
	)
	// Cancel is idempotent, and of what has ended it returns the end: OpenAI's
	// guide says so, Microsoft's answers 400.
	for _, name := range []string{"cancelled", "completed", "failed", "incomplete"} {
		for range 2 {
			in.all(t, bad{name: "cancel of one that is " + name, path: create + "/{" + name + "}/cancel", status: http.StatusOK, echo: `"output":[`})
		}
		if got := in.lookPublic(in.ids[name]).Status; string(got) != name {
			t.Errorf("the %s response is %s after its cancel", name, got)
		}
	}
}

// startingAfterCases: I22. Beyond the end there is nothing but the end.
func startingAfterCases(t *testing.T, in *inputs) {
	at := func(name, value, code, message string) bad {
		return bad{
			name: name, method: "GET", path: create + "/{completed}?stream=true&starting_after=" + value, param: "starting_after", code: code,
			message: message,
		}
	}
	in.all(t,
		at("no number", "x", "invalid_type", "Invalid type for 'starting_after': expected an integer, but got 'x' instead."),
		at("half a number", "1.5", "invalid_type", "Invalid type for 'starting_after': expected an integer, but got '1.5' instead."),
		at("huge", "99999999999999999999", "invalid_type", "Invalid type for 'starting_after': expected an integer, but got '99999999999999999999' instead."),
		at("negative", "-1", "integer_below_min_value", "Invalid 'starting_after': integer below minimum value. Expected a value >= 0, but got -1 instead."),
		at("NUL", "%00", "invalid_type", "Invalid type for 'starting_after': expected an integer, but got '\x00' instead."),
	)
	for _, after := range []int{3, 4, 1000, 2147483647} { // created, queued, in_progress and completed are 0 to 3
		got := in.call("GET", fmt.Sprintf("%s/%s?stream=true&starting_after=%d", create, in.ids["completed"], after), "")
		if got.status != http.StatusOK || string(got.body) != "data: [DONE]\n\n" {
			t.Errorf("after %d the stream is %d %s, want its end", after, got.status, got.body)
		}
	}
	if got := in.call("GET", create+"/"+in.ids["completed"]+"?stream=true&starting_after=2", ""); !strings.HasPrefix(string(got.body), "event: response.completed\n") {
		t.Errorf("after 2 the stream is %d %s, want its last event", got.status, got.body)
	}
}

// images: I46. Pictures are passed on as they came, and never fetched: whether
// one is good is the upstream's to say.
func images(t *testing.T, in *inputs) {
	picture := func(url string) string {
		return `"input":[{"role":"user","content":[{"type":"input_image","image_url":"` + url + `"}]}]`
	}
	const why = "the upstream looks at it, with codes of its own"
	in.all(t,
		acceptCase("bad base64", picture("data:image/png;base64,###"), ``, why),
		acceptCase("no picture", picture("data:text/plain,hello"), ``, why),
		acceptCase("no URL", picture("nowhere"), ``, why),
		acceptCase("an address inside", picture("http://169.254.169.254/latest/meta-data/"), ``, "this server does not fetch it"),
		ask("neither URL nor file", `"input":[{"role":"user","content":[{"type":"input_image"}]}]`, "input[0].content[0].image_url", "missing_required_parameter", "Missing required parameter: 'input[0].content[0].image_url'."),
		ask("a file that the model cannot get", `"input":[{"role":"user","content":[{"type":"input_image","file_id":"file_1"}]}]`, "input[0].content[0]", "unsupported_value", "Unsupported value: 'input[0].content[0]': an image without 'image_url'"),
	)
	s := raise(t, func(c *Config) { c.MaxBody = 32 << 20 })
	got := s.call("POST", create, `{"model":"m",`+picture(strings.Repeat("x", 20_971_521))+`}`)
	in.judge(t, bad{
		param: "input[0].content[0].image_url", code: "string_above_max_length", message: "Invalid 'input[0].content[0].image_url': string too long.",
	}, got)
}

// hostileIDs: I47. An id that has not the form of one gets no further than the
// check of it.
func hostileIDs(t *testing.T, in *inputs) {
	digits := strings.TrimPrefix(in.ids["queued"], idPrefix)
	ids := map[string]string{
		"upper case": strings.ToUpper(digits), "dashes": digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:],
		"a subject": "*", "a deep subject": "%3E", "dots": digits[:16] + "." + digits[16:], "a blank": digits + "%20", "SQL": "'%3B--",
		"a path": "..%2f..%2fetc%2fpasswd", "a homoglyph": "%D0%B0" + digits[1:], "NUL": "%00", "a line feed": digits + "%0a", "a digit more": digits + "0",
		"a digit less": digits[1:], "nothing": "", "10 kB": strings.Repeat("a", 10_000),
	}
	for _, route := range []string{
		"GET /v1/responses/resp_%", "POST /v1/responses/resp_%/cancel", "GET /v1/responses/resp_%/steps", "GET /v1/responses/resp_%/input_items",
		"DELETE /v1/responses/resp_%", "GET /v1/requests/req_%/steps", "GET /v1/conversations/conv_%", "POST /v1/conversations/conv_%",
		"DELETE /v1/conversations/conv_%", "GET /v1/conversations/conv_%/items", "GET /v1/conversations/{conversation}/items/msg_%",
		"DELETE /v1/conversations/{conversation}/items/msg_%",
	} {
		method, path, _ := strings.Cut(route, " ")
		for name, id := range ids {
			b := bad{name: route + " " + name, method: method, path: strings.Replace(path, "%", id, 1), status: http.StatusNotFound}
			if path == "/v1/conversations/conv_%" && method == "POST" {
				b.body = `{"metadata":{}}`
			}
			in.all(t, b)
		}
	}
	in.all(t,
		bad{name: "without its prefix", method: "GET", path: create + "/" + digits, status: http.StatusNotFound},
		bad{name: "with another", method: "GET", path: create + "/conv_" + digits, status: http.StatusNotFound},
		bad{name: "of a homoglyph", method: "GET", path: create + "/r%D0%B5sp_" + digits, status: http.StatusNotFound},
		ask("a conversation with a path", `"conversation":"conv_/../x"`, "conversation", "invalid_value", "Invalid 'conversation': 'conv_/../x'. Expected an ID that contains letters, numbers, underscores, or dashes"),
		ask("an item's in a conversation", `"conversation":"{conversation}","input":[{"role":"user","content":"x","id":"msg_*.>"}]`, "input[0].id", "invalid_value", "Invalid 'input[0].id': 'msg_*.>'. Expected an ID that contains"),
	)
}

// framesInTexts: I48. Text stays text, in JSON, in streams and in the log.
func framesInTexts(t *testing.T, in *inputs) {
	const text = `\n\ndata: [DONE]\n\nevent: response.completed\r\n\r\ndata: {}\u2028\u0085\u001b[31m{\"level\":\"error\"}`
	b := acceptCase("instructions", `"instructions":"`+text+`","metadata":{"a":"`+text+`"},"stream":false`, `"instructions":"\n\ndata: [DONE]`, "")
	in.all(t, b)
	s := raise(t)
	id := s.over(`"input":"`+text+`","instructions":"`+text+`"`, run.Cancelled, "")
	got := s.call("GET", create+"/"+id+"?stream=true", "")
	frames := strings.Split(strings.TrimSuffix(string(got.body), "\n\n"), "\n\n")
	if len(frames) != 4 || frames[3] != "data: [DONE]" {
		t.Fatalf("%d frames, want three events and the end:\n%s", len(frames), got.body)
	}
	for _, frame := range frames[:3] {
		event, data, ok := strings.Cut(frame, "\ndata: ")
		if !ok || strings.ContainsAny(data, "\r\n") || !strings.Contains(data, `\n\ndata: [DONE]`) {
			t.Errorf("the frame of %q holds what it should not, or lacks the text:\n%s", event, frame)
		}
	}
	s.call("GET", create+"/%0a%7B%22level%22:%22error%22%7D", "")
	s.call("GET", "/v1/%1b[31m%0d%0aX-Injected:%20yes", "")
	for _, line := range s.logs.All() {
		for key, value := range line.ContextMap() {
			if text, ok := value.(string); ok && strings.ContainsAny(text, "\r\n\x1b") {
				t.Errorf("the log line %q has the client's words in %s: %q", line.Message, key, text)
			}
		}
	}
}

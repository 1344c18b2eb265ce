package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

func TestItemReferences(t *testing.T) {
	t.Parallel()
	s := raise(t)
	done := s.concluded(`"input":[{"role":"user","content":"asked"},{"id":"msg_own","role":"user","content":"own"}]`, run.Incomplete, strings.Replace(call, "fc_1", "fc_ID", 1))
	digits := strings.TrimPrefix(done, idPrefix)
	said, asked := "fc_"+digits+"00010000", "msg_"+digits+"_in0000"
	other := s.concluded(`"input":"x"`, run.Completed, strings.Replace(call, "fc_1", "fc_ID", 1))
	answered := "fc_" + strings.TrimPrefix(other, idPrefix) + "00010000"
	// The ids of outputs hold the response's own, which is known only now.
	const rename = `UPDATE bodies SET data = convert_to(replace(convert_from(data, 'UTF8'), 'fc_ID', '%s'), 'UTF8')
 WHERE request_id = $1 AND kind = 'answer'`
	s.move(done, fmt.Sprintf(rename, said))
	s.move(other, fmt.Sprintf(rename, answered))
	running := s.background()
	s.claim()
	gone := s.concluded(`"input":"x"`, run.Completed, "")
	if r := s.call("DELETE", "/v1/responses/"+gone, ""); r.status != http.StatusOK {
		t.Fatalf("DELETE answered %d", r.status)
	}
	hidden := s.unstored()
	s.conversation("msg_talk")
	in := func(id string) string { return "msg_" + strings.TrimPrefix(id, idPrefix) + "_in0000" }

	message := fmt.Sprintf(`{"type":"message","id":%q,"status":"completed","role":"user","content":[{"type":"input_text","text":"asked"}]}`, asked)
	talk := `{"type":"message","id":"msg_talk","status":"completed","role":"user","content":[{"type":"input_text","text":"msg_talk"}]}`
	const result = `{"type":"function_call_output","call_id":"c1","output":"1"}`
	for _, tt := range []struct {
		name, input, want string // of the input that is kept
	}{
		{"input", `{"type":"item_reference","id":"` + asked + `"}`, message},
		{"by its id alone", `{"id":"` + asked + `"}`, message},
		{"input of a response in flight", `{"id":"` + in(running) + `"}`, strings.NewReplacer(asked, in(running), "asked", "hi").Replace(message)},
		{"of a conversation", `{"id":"msg_talk"}`, talk},
		{"output", `{"id":"` + said + `"},` + result, strings.Replace(call, "fc_1", said, 1) + "," + result},
		{
			"among others", `{"role":"user","content":"x"},{"id":"` + answered + `"},{"id":"msg_talk"},` + result,
			`{"role":"user","content":"x"},` + strings.Replace(call, "fc_1", answered, 1) + "," + talk + "," + result,
		},
	} {
		id := createdID(t, s.call("POST", "/v1/responses", `{"model":"m","background":true,"input":[`+tt.input+`],"user":"u"}`))
		row := s.claim()
		a, err := s.answers.Read(t.Context(), auth.DefaultTenant, row.ID)
		if err != nil || run.ResponseID.Format(row.ID) != id {
			t.Fatalf("%s: %v, %v", tt.name, row, err)
		}
		same(t, tt.name, a.Body, `{"model":"m","background":true,"input":[`+tt.want+`],"user":"u"}`)
	}
	for _, tt := range []struct{ name, id string }{
		{"unknown", "rs_123"},
		{"not stored, input", in(hidden)},
		{"not stored, output", "msg_" + strings.TrimPrefix(hidden, idPrefix) + "00010000"},
		{"of a deleted response", in(gone)},
		{"beyond the input", "msg_" + digits + "_in0002"},
		{"named by its client", "msg_own"},
		{"instead of which the client named it", "msg_" + digits + "_in0001"},
		{"another type's", "fc_" + digits + "_in0000"},
		{"of a turn that was not", "fc_" + digits + "00020000"},
		{"output of a response in flight", "msg_" + strings.TrimPrefix(running, idPrefix) + "00010000"},
		{"a response", done},
		{"empty", ""},
		{"NUL", `\u0000`},
		{"long", strings.Repeat("x", 100_000)},
	} {
		r := s.call("POST", "/v1/responses", `{"model":"m","input":[{"type":"item_reference","id":"`+tt.id+`"}]}`)
		f := r.fault(t)
		shown := strings.ReplaceAll(tt.id, `\u0000`, "\x00")
		want := fmt.Sprintf("Item with id '%s' not found. Items are not persisted when `store` is set to false. "+
			"Try again with `store` set to true, or remove this item from your input.", httpapi.Excerpt(shown))
		if r.status != http.StatusNotFound || f["message"] != want || f["param"] != "input" || f["code"] != nil {
			t.Errorf("%s: answered %d %.300s, want 404", tt.name, r.status, r.body)
		}
	}
}

func TestReferencesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.MaxBody = 40_000 })
	long := strings.Repeat("x", 15_000)
	var ids []string
	for range 6 {
		id := s.concluded(`"input":[{"role":"user","content":"`+long+`"}]`, run.Completed, call)
		ids = append(ids, `{"id":"msg_`+strings.TrimPrefix(id, idPrefix)+`_in0000"}`)
	}
	var many []string
	for i := range history.MaxReferences + 1 {
		many = append(many, fmt.Sprintf(`{"id":"msg_%d"}`, i))
	}
	asks := s.conversation()
	if r := s.call("POST", "/v1/conversations/"+asks+"/items", `{"items":[{"id":"fc_asks","type":"function_call","call_id":"c1","name":"f","arguments":""}]}`); r.status != http.StatusOK {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	s.call("POST", "/v1/conversations", `{"items":[{"id":"item_odd","type":"acme:item"}]}`)
	for _, tt := range []struct {
		name, input string
		param, code any
		message     string
	}{
		{"twice", ids[0] + "," + ids[0], "input", nil, "Duplicate item found with id msg_"},
		{"more than a body may have", strings.Join(ids[:3], ","), "input", "string_above_max_length", "The items that are referred to by their ids are too large: at most 40000 bytes are allowed."},
		{"more than is looked through", strings.Join(ids, ","), "input", "string_above_max_length", "The items that are referred to by their ids are too large"},
		{"too many", strings.Join(many, ","), "input", "array_above_max_length", "Too many items are referred to by their ids: at most 500 are allowed, but got 501."},
		{"what the model cannot be given", `{"id":"item_odd"}`, "input[0]", "unsupported_value", "Unsupported value: 'input[0]': an item of the type 'acme:item'"},
		{"a call without output", `{"id":"fc_asks"}`, "input", nil, "No tool output found for function call c1."},
	} {
		r := s.call("POST", "/v1/responses", `{"model":"m","input":[`+tt.input+`]}`)
		f := r.fault(t)
		if r.status != 400 || f["param"] != tt.param || f["code"] != tt.code || !strings.HasPrefix(f["message"].(string), tt.message) {
			t.Errorf("%s: answered %d %.300s, want 400, param %v, code %v: %s", tt.name, r.status, r.body, tt.param, tt.code, tt.message)
		}
	}
	if got := s.backlog(); got != 0 {
		t.Errorf("%d requests are queued, want none", got)
	}
}

package responses

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	const (
		a, b    = `{"type":"function_call_output","call_id":"a","output":"x"}`, `{"type":"function_call_output","call_id":"b","output":[]}`
		message = `{"role":"user","content":"x"}`
		ownPair = `{"type":"function_call","call_id":"own","name":"f","arguments":""},{"type":"function_call_output","call_id":"own","output":""}`
	)
	for _, tt := range []struct {
		name, input string
		open        []string
		want        string // empty: accepted
	}{
		{"nothing is open", message, nil, ""},
		{"all answered", a + "," + b, []string{"a", "b"}, ""},
		{"in another order, among others", message + "," + b + "," + ownPair + "," + a, []string{"a", "b"}, ""},
		{"one answered twice", a + "," + a, []string{"a"}, ""},
		{"a reference may be anything", `{"type":"item_reference","id":"x"}`, []string{"a"}, ""},
		{"the first is not answered", b, []string{"a", "b"}, "No tool output found for function call a."},
		{"the last is not answered", a, []string{"a", "b"}, "No tool output found for function call b."},
		{"none is", message, []string{"a"}, "No tool output found for function call a."},
		{"one too many", a + "," + b, []string{"a"}, "No tool call found for function call output with call_id b."},
		{"only its own", ownPair, []string{"a"}, "No tool output found for function call a."},
	} {
		c, f := Decode([]byte(`{"model":"m","previous_response_id":"resp_1","input":[` + tt.input + `]}`))
		if f != nil {
			t.Fatalf("%s: %s", tt.name, f.JSON())
		}
		f = c.Answers(tt.open)
		if tt.want == "" && f != nil || tt.want != "" && (f == nil || f.Message != tt.want || f.Param != "input" || f.Status != 400) {
			t.Errorf("%s: %v, want %q", tt.name, f, tt.want)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	call, output := func(id string) Link { return Link{CallID: id} }, func(id string) Link { return Link{CallID: id, Output: true} }
	for _, tt := range []struct {
		name    string
		history []Link
		open    []string
		fault   string // empty: none
	}{
		{"nothing", nil, nil, ""},
		{"answered", []Link{call("a"), call("b"), output("b"), output("a")}, nil, ""},
		{"some open", []Link{call("a"), call("b"), output("a"), call("c")}, []string{"b", "c"}, ""},
		{"answered twice", []Link{call("a"), output("a"), output("a")}, nil, ""},
		{"asked twice", []Link{call("a"), call("a"), output("a")}, nil, ""},
		{"asked again", []Link{call("a"), output("a"), call("a")}, []string{"a"}, ""},
		{"output without call", []Link{call("a"), output("b")}, nil, "No tool call found for function call output with call_id b."},
		{"output before call", []Link{output("a"), call("a")}, nil, "No tool call found for function call output with call_id a."},
	} {
		open, f := Open(tt.history)
		if diff := cmp.Diff(tt.open, open); diff != "" && f == nil {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if (f != nil) != (tt.fault != "") || f != nil && (f.Message != tt.fault || f.Param != "input" || f.Status != 400) {
			t.Errorf("%s: %v, want %q", tt.name, f, tt.fault)
		}
	}
}

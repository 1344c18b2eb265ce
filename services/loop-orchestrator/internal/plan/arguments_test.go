package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

func TestNextRefusesArguments(t *testing.T) {
	t.Parallel()
	for arguments, code := range map[string]string{
		`{"n":1}`: "", ` {"n":1,"more":null}`: "", ``: "invalid_arguments", `{`: "invalid_arguments", `[]`: "invalid_arguments",
		`{"n":"1"}`: "invalid_arguments", `{"n":1}{}`: "invalid_arguments", "{\"n\":1}\x00": "invalid_arguments",
		`{"n":1,"pad":"` + strings.Repeat("x", maxArguments) + `"}`: "arguments_too_large",
	} {
		_, got := next(newState(t, ""), say{Calls: []model.ToolCall{{ID: "c", Name: "add", Arguments: arguments}}})
		if diff := cmp.Diff([]string{code}, errorsOf(got)); diff != "" {
			t.Errorf("%.40q (-want +got):\n%s", arguments, diff)
		}
		want := arguments
		if model.EmptyArguments(arguments) {
			want = "{}"
		}
		if string(got.Steps[0].Input) != want {
			t.Errorf("input is %.40q, want %.40q", got.Steps[0].Input, want)
		}
	}
}

// Models send empty arguments to tools without parameters.
func TestEmptyArgumentsAreAnObject(t *testing.T) {
	t.Parallel()
	for _, arguments := range []string{"", " ", "\n", "null", " null ", "[]"} {
		record, got := next(newState(t, ""), say{Calls: []model.ToolCall{{ID: "c", Name: "now", Arguments: arguments}, {ID: "d", Name: "ask", Arguments: arguments}}})
		if s := got.Steps[0]; string(s.Input) != "{}" || !s.Due() {
			t.Errorf("%q: the step's input is %q, error %s", arguments, s.Input, s.Error)
		}
		for _, it := range record.Items {
			if it.Type == "function_call" && it.Arguments() != "{}" {
				t.Errorf("%q: call %s is recorded with %q", arguments, it.Name, it.Arguments())
			}
		}
	}
}

// Empty arguments that events have shown already stay unchanged in the record;
// the tool runs anyway.
func TestEmptyArgumentsThatWereShown(t *testing.T) {
	t.Parallel()
	d := Begin(newState(t, ""))
	call := model.ToolCall{ID: "c", Name: "now", Arguments: "null"}
	d.AddDelta(model.Delta{Kind: model.Function, Call: call})
	record, commit, _ := d.End(model.Answer{Finish: model.Stopped, Outputs: []model.Output{{Kind: model.Function, Call: call}}})
	if s := commit.Steps[0]; string(s.Input) != "{}" || !s.Due() {
		t.Errorf("the step's input is %q, error %s", s.Input, s.Error)
	}
	if it := record.Items[len(record.Items)-1]; it.Arguments() != "null" {
		t.Errorf("the call is recorded with %q", it.Arguments())
	}
}

package transcript

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
)

func encode(tb testing.TB, r Record) []byte {
	tb.Helper()
	b, err := r.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func model(tb testing.TB, turn int, r Record) run.Step {
	return run.Step{Turn: turn, Kind: "model", State: run.StepDone, Output: encode(tb, r)}
}

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Record{
		"nothing": {},
		"usage":   {Usage: responses.Usage{InputTokens: 5, CachedTokens: 1, CacheWriteTokens: 2, OutputTokens: 4, ReasoningTokens: 3}},
		"items": {Items: []item.Item{
			item.Reasoning{ID: "rs_1", Text: "a\x00b"}.Item(),
			item.Message("msg_1", "assistant", "completed", item.Part{Type: "output_text", Text: "\u2028\"<>"}),
			item.Call{ID: "fc_1", CallID: "c", Name: "f", Arguments: "{\x00", Status: "completed"}.Function(),
		}},
	} {
		got, err := ReadRecord(encode(t, r))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// The items' JSON may be escaped otherwise than it was; what it says is
		// the same.
		text := func(r Record) any {
			var v any
			if err := json.Unmarshal(encode(t, r), &v); err != nil {
				t.Error(err)
			}
			return v
		}
		if diff := cmp.Diff(text(r), text(got)); diff != "" || got.Usage != r.Usage {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for i, it := range got.Items {
			if it.Arguments() != r.Items[i].Arguments() || it.CallID != r.Items[i].CallID {
				t.Errorf("%s: item %d is %s, was %s", name, i, it.JSON(), r.Items[i].JSON())
			}
		}
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	first := Record{Usage: responses.Usage{InputTokens: 1, OutputTokens: 2}}
	second := Record{Usage: responses.Usage{InputTokens: 10, OutputTokens: 20}}
	tool := func(turn, index int, id string) run.Step {
		return run.Step{Turn: turn, Index: index, Kind: "tool", CallID: id, State: run.StepDone, Output: []byte(id)}
	}
	turns, err := Turns(run.Chain{Steps: []run.Step{
		model(t, 1, first), tool(1, 1, "a"), tool(1, 2, "b"), model(t, 2, second), tool(2, 1, "c"),
		{Turn: 3, Kind: "model", State: run.StepDispatched},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var ids [][]string
	for _, turn := range turns {
		var all []string
		for _, id := range []string{"a", "b", "c"} {
			if s, ok := turn.Tools[id]; ok {
				all = append(all, string(s.Output))
			}
		}
		ids = append(ids, all)
	}
	if diff := cmp.Diff([][]string{{"a", "b"}, {"c"}}, ids); diff != "" {
		t.Errorf("calls by turn (-want +got):\n%s", diff)
	}
	if got := Usage(turns); got.InputTokens != 11 || got.OutputTokens != 22 {
		t.Errorf("usage is %+v, want the sum", got)
	}
}

func TestTurnsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, output := range []string{``, `{`, `[]`, `{"items":[{"type":"message"}],"usage":{}}`, `{"items":{},"usage":{}}`} {
		c := run.Chain{Steps: []run.Step{{Turn: 1, State: run.StepDone, Output: []byte(output)}}}
		if turns, err := Turns(c); err == nil {
			t.Errorf("%s is read as %+v", output, turns)
		}
	}
}

func TestAncestors(t *testing.T) {
	t.Parallel()
	said := Record{Items: []item.Item{item.Message("msg_1", "assistant", "completed", item.Part{Type: "output_text", Text: "a"})}}
	good := run.Chain{Body: []byte(`{"model":"m","instructions":"no","input":"hi"}`), Steps: []run.Step{model(t, 1, said)}}
	all, err := Ancestors([]run.Chain{good, good})
	if err != nil || len(all) != 2 || len(all[1].Input) != 1 || len(all[1].Turns) != 1 || len(all[1].Turns[0].Items) != 1 {
		t.Errorf("Ancestors = %+v, %v; want two with an input and a turn each", all, err)
	}
	for what, change := range map[string]func(*run.Chain){
		"body": func(c *run.Chain) { c.Body = []byte(`{`) },
		"turn": func(c *run.Chain) { c.Steps = []run.Step{{Turn: 1, State: run.StepDone, Output: []byte(`{`)}} },
	} {
		bad := good
		change(&bad)
		if all, err := Ancestors([]run.Chain{good, bad}); err == nil {
			t.Errorf("a broken %s is read as %+v", what, all)
		}
	}
}

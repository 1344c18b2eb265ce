package audit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/transcript"
)

func items(tb testing.TB, texts ...string) []item.Item {
	tb.Helper()
	all := make([]item.Item, len(texts))
	for i, text := range texts {
		it, f := item.Parse([]byte(text))
		if f != nil {
			tb.Fatal(f)
		}
		all[i] = it
	}
	return all
}

const (
	call1 = `{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}`
	call2 = `{"type":"function_call","call_id":"c2","name":"g","arguments":"{}"}`
	said  = `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"done"}]}`
)

func user(text string) string {
	return fmt.Sprintf(`{"type":"message","role":"user","content":[{"type":"input_text","text":%q}]}`, text)
}

// step is a model step that said the items.
func step(turn int, said ...string) run.Step {
	record := fmt.Sprintf(`{"items":[%s],"usage":{},"origin":"0","own":{"0":{"extra":"UPSTREAM"}}}`, strings.Join(said, ","))
	return run.Step{Turn: turn, Kind: "model", State: run.StepDone, Output: []byte(record)}
}

func tool(turn, index int, call, output string) run.Step {
	return run.Step{Turn: turn, Index: index, Kind: "tool", CallID: call, State: run.StepDone, Output: []byte(output)}
}

func decode(tb testing.TB, body string) *responses.Create {
	tb.Helper()
	c, f := responses.Decode([]byte(body))
	if f != nil {
		tb.Fatal(f)
	}
	return c
}

// lines are items as a few words each.
func lines(in Input) []string {
	var all []string
	for _, it := range in.Items {
		text, _ := it.Output()
		if parts := it.Parts(); len(parts) > 0 {
			text = parts[0].Text
		}
		all = append(all, strings.Join(slices.DeleteFunc([]string{it.Type, it.Role, it.CallID, text}, func(s string) bool { return s == "" }), " "))
	}
	return all
}

func TestEachCallIsShownWhatWasThereBeforeIt(t *testing.T) {
	t.Parallel()
	run := Run{
		Request: decode(t, `{"model":"m","instructions":"be kind","input":"go"}`),
		Earlier: []transcript.Ancestor{{
			Input: items(t, user("before")),
			Turns: []transcript.Turn{{Record: transcript.Record{Items: items(t, call2)}, Tools: map[string]run.Step{"c2": tool(1, 1, "c2", "old")}}},
		}},
		Steps: []run.Step{
			step(1, `{"type":"mcp_list_tools","id":"mcpl_1","server_label":"windlass","tools":[]}`, call1, call2),
			tool(1, 1, "c1", "one\x00\xff"),
			{Turn: 1, Index: 2, Kind: "tool", CallID: "c2", State: run.StepDispatched},
			{Turn: 2, Kind: "model", State: run.StepFailed},
		},
		Whole: func(item.Item) bool { return false },
	}
	got, err := run.Inputs(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	first := []string{"message system be kind", "message user before", "function_call c2", "function_call_output c2 old", "message user go"}
	second := append(append([]string(nil), first...), "function_call c1", "function_call c2", "function_call_output c1 one\x00\ufffd")
	if diff := cmp.Diff([][]string{first, second}, [][]string{lines(got[0]), lines(got[1])}); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	if b, err := json.Marshal(got[1].Items); err != nil || strings.Contains(string(b), "UPSTREAM") {
		t.Errorf("the items have what the upstream attached: %s, %v", b, err)
	}
}

func TestTheNewestItemsFitTheLimit(t *testing.T) {
	t.Parallel()
	var input []string
	for i := range 100 {
		input = append(input, user(fmt.Sprint(i, strings.Repeat("x", 1000))))
	}
	run := Run{
		Request: decode(t, `{"model":"m","instructions":"be kind","input":[`+strings.Join(input, ",")+`]}`),
		Steps:   []run.Step{step(1, said)}, Whole: func(item.Item) bool { return false },
	}
	for _, tt := range []struct{ most, items, omitted int }{
		{1 << 20, 101, 0}, {20_000, 1 + 18, 82}, {1500, 2, 99}, {100, 0, 101}, {0, 0, 101},
	} {
		got, err := run.Inputs(tt.most)
		if err != nil || len(got) != 1 {
			t.Fatalf("%v, %v", got, err)
		}
		size := 0
		for _, it := range got[0].Items {
			size += len(it.JSON())
		}
		if len(got[0].Items) != tt.items || got[0].Omitted != tt.omitted || size > tt.most {
			t.Errorf("of %d bytes: %d items of %d bytes, %d omitted; want %d and %d", tt.most, len(got[0].Items), size, got[0].Omitted, tt.items, tt.omitted)
		}
	}
}

func TestACompactionTakesThePlaceOfWhatWasBefore(t *testing.T) {
	t.Parallel()
	run := Run{
		Request: decode(t, `{"model":"m","input":"go"}`),
		Steps:   []run.Step{step(1, `{"type":"compaction","encrypted_content":"sealed"}`), step(2, said)},
	}
	for _, whole := range []bool{true, false} {
		run.Whole = func(item.Item) bool { return whole }
		got, err := run.Inputs(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"message user go", "compaction"}
		if whole {
			want = want[1:]
		}
		if diff := cmp.Diff(want, lines(got[1])); diff != "" {
			t.Errorf("whole %v (-want +got):\n%s", whole, diff)
		}
	}
}

func TestATurnThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	run := Run{Request: decode(t, `{"model":"m","input":"go"}`), Steps: []run.Step{{Turn: 1, Kind: "model", State: run.StepDone, Output: []byte("x")}}}
	if got, err := run.Inputs(1 << 20); err == nil {
		t.Errorf("inputs %v, want an error", got)
	}
}

package compact

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

const tenant = "acme"

func newKeys(tb testing.TB) compaction.Keys {
	tb.Helper()
	keys, err := compaction.ReadKeys("a secret of the tests")
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func items(tb testing.TB, text string) []item.Item {
	tb.Helper()
	all, fault := item.List([]byte(text), "")
	if fault != nil {
		tb.Fatal(fault)
	}
	return all
}

// compacted is an item that holds one developer's message and a summary.
func compacted(tb testing.TB, keys compaction.Keys, rule, summary string) item.Item {
	tb.Helper()
	sealed, err := keys.Seal(tenant, compaction.Content{Kept: items(tb, `[{"role":"developer","content":"`+rule+`"}]`), Summary: summary})
	if err != nil {
		tb.Fatal(err)
	}
	return item.Compaction("cmp_1", sealed)
}

// sketch writes items down, the summary by its inner text.
func sketch(all []item.Item) []string {
	var lines []string
	for _, it := range all {
		text := ""
		for _, p := range it.Parts() {
			text += p.Text
		}
		if _, inner, ok := strings.Cut(text, "<conversation_summary>\n"); ok {
			text = "(" + strings.TrimSuffix(inner, "\n</conversation_summary>") + ")"
		}
		lines = append(lines, strings.TrimSpace(it.Type+" "+it.Role+" "+text))
	}
	return lines
}

func call(tb testing.TB, keys compaction.Keys) model.Call {
	said := transcript.Turn{Record: transcript.Record{Items: append(items(tb, `[{"role":"assistant","content":"c"}]`), compacted(tb, keys, "r3", "s3"))}}
	return model.Call{
		Model: "up",
		Request: &responses.Create{
			Instructions: "Be brief.", Input: append(items(tb, `[{"role":"user","content":"d"}]`), compacted(tb, keys, "r4", "s4")),
		},
		Ancestors: []transcript.Ancestor{{
			Input: append(items(tb, `[{"role":"user","content":"a"},{"role":"system","content":"b"}]`), compacted(tb, keys, "r2", "s2")),
			Turns: []transcript.Turn{said},
		}},
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	before := call(t, keys)
	got, err := Open(keys, tenant, before)
	if err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct{ got, want []string }{
		"an ancestor's input":  {sketch(got.Ancestors[0].Input), []string{"message user a", "message system b", "message developer r2", "message user (s2)"}},
		"what it said":         {sketch(got.Ancestors[0].Turns[0].Items), []string{"message assistant c", "message developer r3", "message user (s3)"}},
		"the request's input":  {sketch(got.Request.Input), []string{"message user d", "message developer r4", "message user (s4)"}},
		"the call it was made": {sketch(before.Request.Input), []string{"message user d", "compaction"}},
		"and its ancestor":     {sketch(before.Ancestors[0].Turns[0].Items), []string{"message assistant c", "compaction"}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	if _, err := Open(keys, "other", before); !errors.Is(err, compaction.ErrSealed) {
		t.Errorf("opened for another tenant: %v", err)
	}
	if _, err := Open(compaction.Keys{}, tenant, before); !errors.Is(err, compaction.ErrNoKey) {
		t.Errorf("opened without a secret: %v", err)
	}
}

// What an upstream attached to the items of a turn stays with them.
func TestOpenMovesWhatIsAttached(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	said := items(t, `[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]`)
	own := map[int]json.RawMessage{0: json.RawMessage(`"a"`), 1: json.RawMessage(`"of the seal"`), 2: json.RawMessage(`"b"`), 9: nil}
	turn := transcript.Turn{Record: transcript.Record{Items: []item.Item{said[0], compacted(t, keys, "r", "s"), said[1]}, Own: own}}
	got, err := Open(keys, tenant, model.Call{Request: &responses.Create{}, Turns: []transcript.Turn{turn}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"message assistant a", "message developer r", "message user (s)", "message assistant b"}, sketch(got.Turns[0].Items)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[int]json.RawMessage{0: own[0], 3: own[2]}, got.Turns[0].Own); diff != "" {
		t.Errorf("what is attached (-want +got):\n%s", diff)
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	before := call(t, keys)
	before.Origin, before.Settings.ReasoningField = "o", registry.Reasoning
	n := 7
	before.MaxTokens, before.Request.MaxOutputTokens, before.Request.Text = &n, &n, responses.Text{Format: "json_object"}
	got := Ask(before)
	if got.Model != "up" || got.Request.Instructions != "Be brief." || got.MaxTokens != nil || got.Request.MaxOutputTokens != nil ||
		got.Request.Text.Format != "" || got.Tools != nil || got.Stream || !got.NoSeal ||
		got.Origin != "o" || got.Settings.ReasoningField != registry.Reasoning { // or the upstream's cache would not know the prompt
		t.Errorf("asked by %+v of %+v", got, got.Request)
	}
	if len(got.Ancestors) != 2 || len(got.Request.Input) != 1 || got.Request.Input[0].Role != "user" || got.Request.Input[0].Parts()[0].Text != instruction {
		t.Fatalf("asked with %d ancestors and %v", len(got.Ancestors), sketch(got.Request.Input))
	}
	if diff := cmp.Diff(sketch(before.Request.Input), sketch(got.Ancestors[1].Input)); diff != "" {
		t.Errorf("the request's input (-want +got):\n%s", diff)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	users, content, err := Split(keys, tenant, call(t, keys), "S")
	if err != nil || content.Summary != "S" || content.Whole || content.After != nil {
		t.Fatalf("Given = %+v, %v", content, err)
	}
	if diff := cmp.Diff([]string{"message user a", "message user d"}, sketch(users)); diff != "" {
		t.Errorf("the user's messages (-want +got):\n%s", diff)
	}
	want := []string{"message system b", "message developer r2", "message developer r3", "message developer r4"}
	if diff := cmp.Diff(want, sketch(content.Kept)); diff != "" {
		t.Errorf("instructions (-want +got):\n%s", diff)
	}
	if _, _, err := Split(keys, "other", call(t, keys), "S"); !errors.Is(err, compaction.ErrSealed) {
		t.Errorf("given to another tenant: %v", err)
	}
}

// A compaction inside a response holds all that a client needs who drops what
// was before it, and a model is shown nothing else.
func TestReplace(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	c := model.Call{
		Request:   &responses.Create{Input: items(t, `[{"role":"assistant","content":"c"},{"role":"user","content":"d"},{"role":"developer","content":"e"},{"type":"compaction_trigger"}]`)},
		Ancestors: []transcript.Ancestor{{Input: items(t, `[{"role":"user","content":"`+strings.Repeat("x", 500)+`"},{"role":"system","content":"a"},{"role":"user","content":"b"}]`)}},
	}
	content, err := Replace(keys, tenant, c, "S", 100)
	if err != nil || !content.Whole {
		t.Fatalf("Whole = %+v, %v", content, err)
	}
	want := []string{"message system a", "message user b", "message user (S)", "message user d", "message developer e"}
	if diff := cmp.Diff(want, sketch(content.Items())); diff != "" {
		t.Errorf("what it holds (-want +got):\n%s", diff)
	}
	sealed, err := keys.Seal(tenant, content)
	if err != nil {
		t.Fatal(err)
	}
	it := item.Compaction("cmp_1", sealed)
	said := transcript.Turn{Record: transcript.Record{Items: []item.Item{it}, Usage: responses.Usage{InputTokens: 9000}}}
	then := transcript.Turn{Record: transcript.Record{Items: items(t, `[{"role":"assistant","content":"f"}]`)}}
	before := []transcript.Ancestor{{Input: items(t, `[{"role":"user","content":"old"}]`), Turns: []transcript.Turn{{}}}}
	for where, call := range map[string]model.Call{
		"in a turn":      {Request: c.Request, Ancestors: before, Turns: []transcript.Turn{{}, said, then}},
		"in an ancestor": {Request: &responses.Create{}, Ancestors: append(before, transcript.Ancestor{Input: c.Request.Input, Turns: []transcript.Turn{{}, said, then}})},
		"as input":       {Request: &responses.Create{Input: append(items(t, `[{"role":"user","content":"old"}]`), it, then.Items[0])}, Ancestors: before},
		"as its input":   {Request: &responses.Create{}, Ancestors: append(before, transcript.Ancestor{Input: append(c.Request.Input, it), Turns: []transcript.Turn{then}})},
	} {
		opened, err := Open(keys, tenant, call)
		if err != nil {
			t.Fatal(err)
		}
		var all []item.Item
		for _, a := range append(opened.Ancestors, transcript.Ancestor{Input: opened.Request.Input, Turns: opened.Turns}) {
			all = append(all, a.Input...)
			for _, t := range a.Turns {
				all = append(all, t.Items...)
			}
		}
		if diff := cmp.Diff(append(want, "message assistant f"), sketch(all)); diff != "" {
			t.Errorf("%s a model is shown (-want +got):\n%s", where, diff)
		}
		if n := Tokens(opened); n > 1000 {
			t.Errorf("%s the history is taken to have %d tokens", where, n)
		}
		users, again, err := Split(keys, tenant, call, "T")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"message user b", "message user d"}, sketch(users)); diff != "" {
			t.Errorf("%s a client is given (-want +got):\n%s", where, diff)
		}
		if diff := cmp.Diff([]string{"message system a", "message developer e"}, sketch(again.Kept)); diff != "" {
			t.Errorf("%s instructions (-want +got):\n%s", where, diff)
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	text := func(role string, tokens int) []item.Item {
		return items(t, `[{"role":"`+role+`","content":"`+strings.Repeat("abcd", tokens)+`"}]`)
	}
	turn := func(input, output, reasoning int64, results int) transcript.Turn {
		return transcript.Turn{
			Record: transcript.Record{Items: text("assistant", 1), Usage: responses.Usage{InputTokens: input, OutputTokens: output, ReasoningTokens: reasoning}},
			Tools:  map[string]run.Step{"c": {Output: []byte(strings.Repeat("abcd", results))}},
		}
	}
	compactedTurn := transcript.Turn{Record: transcript.Record{Items: []item.Item{item.Compaction("cmp_1", "x")}}}
	image := items(t, `[{"role":"user","content":[{"type":"input_image","image_url":"data:`+strings.Repeat("x", 9000)+`"}]},{"role":"assistant","content":"a"}]`)
	for name, tt := range map[string]struct {
		call   model.Call
		tokens int
		due    bool
	}{
		"nothing but a long question": {model.Call{Request: &responses.Create{Input: text("user", 2000)}}, 2000, false},
		"a long history as input":     {model.Call{Request: &responses.Create{Input: append(text("assistant", 2000), text("user", 5)...)}}, 2005, true},
		"a short one":                 {model.Call{Request: &responses.Create{Input: append(text("assistant", 500), text("user", 5)...)}}, 505, false},
		"an image":                    {model.Call{Request: &responses.Create{Input: image}}, 1000, true},
		"counted by the model": {model.Call{
			Request: &responses.Create{Input: text("user", 5)}, Ancestors: []transcript.Ancestor{{Input: text("user", 9000)}, {Turns: []transcript.Turn{turn(700, 400, 105, 0)}}},
		}, 1000, true},
		"counted, and results since": {model.Call{
			Request: &responses.Create{Input: text("user", 9000)}, Turns: []transcript.Turn{turn(9000, 1, 0, 0), turn(700, 100, 0, 199)},
		}, 999, false},
		"not counted": {model.Call{
			Request: &responses.Create{Input: text("user", 5), Instructions: strings.Repeat("abcd", 10)}, Ancestors: []transcript.Ancestor{{Input: text("user", 900), Turns: []transcript.Turn{turn(0, 0, 0, 100)}}},
		}, 1016, true},
		"just compacted": {model.Call{Request: &responses.Create{Input: text("user", 9000)}, Turns: []transcript.Turn{turn(9000, 1, 0, 0), compactedTurn}}, 9001, false},
	} {
		opened := tt.call
		if got := Tokens(opened); got != tt.tokens {
			t.Errorf("%s: %d tokens, want %d", name, got, tt.tokens)
		}
		if got := Due(tt.call, opened, 1000); got != tt.due {
			t.Errorf("%s: due %v, want %v", name, got, tt.due)
		}
		if Due(tt.call, opened, 0) {
			t.Errorf("%s: due without a threshold", name)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	say := func(finish model.Finish, kind model.Kind, typ, text string) model.Answer {
		return model.Answer{Finish: finish, Outputs: []model.Output{
			{Kind: model.Reasoning, Reasoning: item.Reasoning{Text: "hm"}}, {Kind: kind, Parts: []item.Part{{Type: typ, Text: text}}},
		}}
	}
	if got, err := Summary(say(model.Stopped, model.Message, "output_text", "\n They met. ")); err != nil || got != "They met." {
		t.Errorf("Summary = %q, %v", got, err)
	}
	for name, tt := range map[string]struct {
		answer    model.Answer
		code      string
		retriable bool
	}{
		"cut off":   {say(model.Length, model.Message, "output_text", "They"), "max_output_tokens", false},
		"filtered":  {say(model.Filtered, model.Message, "output_text", "They"), "content_filter", false},
		"a refusal": {say(model.Stopped, model.Message, "refusal", "No."), "server_error", true},
		"blank":     {say(model.Stopped, model.Message, "output_text", " \n"), "server_error", true},
		"a call":    {say(model.Stopped, model.Function, "", ""), "server_error", true},
		"nothing":   {model.Answer{Finish: model.Stopped}, "server_error", true},
	} {
		var failed *run.Failure
		if got, err := Summary(tt.answer); !errors.As(err, &failed) || failed.Code != tt.code || failed.Retriable != tt.retriable || got != "" {
			t.Errorf("%s: Summary = %q, %v; want %s, retriable %v", name, got, err, tt.code, tt.retriable)
		}
	}
}

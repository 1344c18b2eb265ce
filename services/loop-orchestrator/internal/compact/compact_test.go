package compact

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/chain"
	"windlass.dev/windlass/services/internal/compaction"
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
	said := chain.Turn{Record: chain.Record{Items: append(items(tb, `[{"role":"assistant","content":"c"}]`), compacted(tb, keys, "r3", "s3"))}}
	return model.Call{
		Model: "up",
		Request: &responses.Create{
			Instructions: "Be brief.", Input: append(items(tb, `[{"role":"user","content":"d"}]`), compacted(tb, keys, "r4", "s4")),
		},
		Ancestors: []chain.Ancestor{{
			Input: append(items(tb, `[{"role":"user","content":"a"},{"role":"system","content":"b"}]`), compacted(tb, keys, "r2", "s2")),
			Turns: []chain.Turn{said},
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

func TestAsk(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	before := call(t, keys)
	n := 7
	before.MaxTokens, before.Request.MaxOutputTokens, before.Request.Text = &n, &n, responses.Text{Format: "json_object"}
	got := Ask(before)
	if got.Model != "up" || got.Request.Instructions != "Be brief." || got.MaxTokens != nil || got.Request.MaxOutputTokens != nil ||
		got.Request.Text.Format != "" || got.Tools != nil || got.Stream || !got.NoSeal {
		t.Errorf("asked by %+v of %+v", got, got.Request)
	}
	if len(got.Ancestors) != 2 || len(got.Request.Input) != 1 || got.Request.Input[0].Role != "user" || got.Request.Input[0].Parts()[0].Text != instruction {
		t.Fatalf("asked with %d ancestors and %v", len(got.Ancestors), sketch(got.Request.Input))
	}
	if diff := cmp.Diff(sketch(before.Request.Input), sketch(got.Ancestors[1].Input)); diff != "" {
		t.Errorf("the request's input (-want +got):\n%s", diff)
	}
}

func TestKept(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	users, rules, err := Kept(keys, tenant, call(t, keys))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"message user a", "message user d"}, sketch(users)); diff != "" {
		t.Errorf("the user's messages (-want +got):\n%s", diff)
	}
	want := []string{"message system b", "message developer r2", "message developer r3", "message developer r4"}
	if diff := cmp.Diff(want, sketch(rules)); diff != "" {
		t.Errorf("instructions (-want +got):\n%s", diff)
	}
	if _, _, err := Kept(keys, "other", call(t, keys)); !errors.Is(err, compaction.ErrSealed) {
		t.Errorf("kept for another tenant: %v", err)
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
		var failed *model.CallError
		if got, err := Summary(tt.answer); !errors.As(err, &failed) || failed.Code != tt.code || failed.Retriable != tt.retriable || got != "" {
			t.Errorf("%s: Summary = %q, %v; want %s, retriable %v", name, got, err, tt.code, tt.retriable)
		}
	}
}

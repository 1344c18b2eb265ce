package mock_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/mock"
)

func fullPlan() mock.Plan {
	return mock.Plan{
		Seed: -7, Rounds: 3, Width: 5, Tool: "a", Tools: []string{"b", "c"}, ThinkMS: 1, ToolMS: 2, SlowEvery: 3, SlowMS: 4,
		ToolBytes: 5, Tokens: 6, TokenRate: 7.5, FinishReason: "length", Text: `plan: {"x"}` + "\n\ndata: \x00", Reasoning: "hm",
		ModelFaults: []mock.Fault{{Round: -1, Times: 2, Status: 429, RetryAfter: "3600"}},
		ToolFaults:  []mock.Fault{{Round: 1, Index: -1, Mode: "big", Bytes: -1}, {Mode: "html", Body: "<p>"}},
		CallIDs:     "dup", RawArguments: "{", EmptyArguments: true, UnknownTool: "nope", CutToolCalls: true, Loop: true,
		Child: &mock.Plan{Seed: 1, Rounds: 1},
	}
}

func TestPlanSurvivesItsPrompt(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"alone":                fullPlan().Prompt(),
		"between other text":   "Please do as told. " + fullPlan().Prompt() + " Thank you, plan: {}",
		"after a plan in name": "The plan: none yet. Now the " + fullPlan().Prompt(),
	} {
		got, ok := mock.ParsePlan(text)
		if !ok {
			t.Errorf("%s: ParsePlan found no plan in %q", name, text)
		}
		if diff := cmp.Diff(fullPlan(), got); diff != "" {
			t.Errorf("%s: plan changed on its way (-want +got):\n%s", name, diff)
		}
	}
}

func TestParsePlanRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "plan", "plan:", "plan: null", "plan: 5", "plan: []", `plan: {"seed":`, `plan: {"seed":"x"}`, `{"seed":1}`,
		`plan: {"rounds":-1}`, `plan: {"width":10001}`, `plan: {"think_ms":-1}`, `plan: {"token_rate":-1}`,
		`plan: {"call_ids":"odd"}`, `plan: {"tool_faults":[{"mode":"odd"}]}`, `plan: {"model_faults":[{"status":42}]}`,
		`plan: {"model_faults":[{"times":-1}]}`, `plan: {"child":{"rounds":-1}}`,
		strings.Repeat("plan:{", 100_000),
	} {
		if p, ok := mock.ParsePlan(text); ok {
			t.Errorf("ParsePlan(%.40q) = %+v, want none", text, p)
		}
	}
}

func TestAnswerTellsRunsApart(t *testing.T) {
	t.Parallel()
	base := mock.Plan{Seed: 1, Rounds: 2, Width: 3}
	seen := map[string]string{}
	for name, text := range map[string]string{
		"base":         base.Answer(),
		"other seed":   mock.Plan{Seed: 2, Rounds: 2, Width: 3}.Answer(),
		"one failed":   base.AnswerIf(func(r, i int) bool { return r == 1 && i == 2 }),
		"other failed": base.AnswerIf(func(r, i int) bool { return r == 1 && i == 1 }),
		"all failed":   base.AnswerIf(func(int, int) bool { return true }),
		"unknown tool": mock.Plan{Seed: 1, Rounds: 2, Width: 3, UnknownTool: "x"}.Answer(),
		"sub-agents":   mock.Plan{Seed: 1, Rounds: 2, Width: 3, Child: &mock.Plan{Rounds: 1}}.Answer(),
	} {
		if other, twice := seen[text]; twice {
			t.Errorf("%q and %q both answer %q", name, other, text)
		}
		seen[text] = name
	}
	if got, want := base.Answer(), "seed=1 rounds=2 width=3 digest="; !strings.HasPrefix(got, want) {
		t.Errorf("answer is %q, want it to start with %q", got, want)
	}
	if got, want := (mock.Plan{Tokens: 40}).Answer(), 40; len(strings.Fields(got)) != want {
		t.Errorf("answer of 40 tokens has %d words: %q", len(strings.Fields(got)), got)
	}
}

func FuzzParsePlan(f *testing.F) {
	f.Add(fullPlan().Prompt())
	f.Add("plan: {}")
	f.Add("plan:plan: {\"seed\":1}")
	f.Add(`plan: {"rounds":1e9}`)
	f.Add(`plan: {"tool_faults":[{"mode":"hang","bytes":-1}]}x`)
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := mock.ParsePlan(text)
		if !ok {
			return
		}
		again, ok := mock.ParsePlan(p.Prompt())
		if !ok {
			t.Fatalf("plan of %q is lost in its own prompt %q", text, p.Prompt())
		}
		if p.Prompt() != again.Prompt() {
			t.Errorf("plan of %q reads %q, then %q", text, p.Prompt(), again.Prompt())
		}
	})
}

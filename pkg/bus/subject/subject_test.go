package subject

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

func TestTokenKeepsNamesApart(t *testing.T) {
	t.Parallel()
	names := []string{"gpt-4o_mini", "gpt.4o", "gpt/4o", "", "*", ">", "a b", "ü", strings.Repeat("x", 200), strings.Repeat("x", 201)}
	seen := make(map[string]string)
	for _, name := range names {
		got := Token(name)
		if !IsToken(got) {
			t.Errorf("Token(%q) = %q, not a token", name, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("Token(%q) = Token(%q) = %q", name, other, got)
		}
		seen[got] = name
		if IsToken(name) != (got == name) {
			t.Errorf("Token(%q) = %q: changed without need, or kept without right", name, got)
		}
	}
}

func TestParseSubject(t *testing.T) {
	t.Parallel()
	id := &stepv1.StepIdentity{RequestId: "0a", Epoch: 1, Turn: 2, Index: 3, Attempt: 4}
	tests := []struct {
		text string
		want Subject
	}{
		{"windlass.turn.m1.0a.1-2-4", ForTurn(&stepv1.TurnCommand{Identity: id, Lane: "m1"})},
		{"windlass.tool.web.search.0a.1-2-3-4", ForTool(&stepv1.ToolCommand{Identity: id, Pool: "web", Tool: "search"})},
		{"windlass.final.0a.1", ForFinal(&stepv1.FinalCommand{RequestId: "0a", Epoch: 1})},
		{"windlass.step.acme.0a.settled", Subject{Family: FamilyStep, Tenant: "acme", RequestID: "0a", Event: EventSettled}},
		{"windlass.step.acme.0a.1-2-3-4.settled", long(ForStep("acme", id, EventSettled))},
		{"windlass.mark.web.0a.1-2-3-4", ForMark("web", id)},
		{"windlass.dead.0a", ForDead("0a")},
	}
	for _, tt := range tests {
		if got := "windlass." + tt.want.Tail(); got != tt.text {
			t.Errorf("built %q, want %q", got, tt.text)
		}
		got, err := Parse("windlass", tt.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.text, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", tt.text, diff)
		}
	}
}

func long(s Subject) Subject {
	s.Long = true
	return s
}

func TestParseSubjectRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "windlass", "windlass.", "windlassx.dead.0a", "other.dead.0a", "windlass.dead", "windlass.dead.0a.b", "windlass.dead.*",
		"windlass.turn.m1.0a.1-2", "windlass.turn.m1.0a.01-2-3", "windlass.turn.m1.0a.1-2-4294967296", "windlass.turn.m1..1-2-3",
		"windlass.step.acme.0a.other", "windlass.step.acme.settled", "windlass.mark.web.0a", "windlass.mark.web.0a.1-2-3",
		"windlass.turn.m1.0a.1-2-+3", "windlass.step.acme.0a.1-2-3-4.other", "windlass.ctl.wake",
	} {
		if s, err := Parse("windlass", text); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", text, s)
		}
	}
}

func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{
		"windlass.turn.m1.0a.1-2-4", "windlass.tool.web.search.0a.1-2-3-4", "windlass.final.0a.1",
		"windlass.step.acme.0a.1-2-3-4.settled", "windlass.step.acme.0a.settled", "windlass.mark.web.0a.1-2-3-4", "windlass.dead.0a", "windlass.turn..0a.1-2-3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("windlass", text)
		if err != nil {
			return
		}
		if got := "windlass." + s.Tail(); got != text {
			t.Errorf("Parse(%q) builds %q again", text, got)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add("a.b", "a b")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !IsToken(Token(a)) || !IsToken(Token(b)) {
			t.Errorf("Token(%q) = %q, Token(%q) = %q: not tokens", a, Token(a), b, Token(b))
		}
		if again := Token(Token(a)); again != Token(a) {
			t.Errorf("Token(Token(%q)) = %q, want %q", a, again, Token(a))
		}
	})
}

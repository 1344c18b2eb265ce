package plan

import (
	"testing"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/services/internal/transcript"
)

func TestTokensLeft(t *testing.T) {
	t.Parallel()
	s := newState(t, "")
	if got := s.TokensLeft(); got != nil {
		t.Errorf("left %d of no bound", *got)
	}
	s = newState(t, `,"max_output_tokens":20`)
	for used, want := range map[int64]int{0: 20, 15: 5, 20: 0, 33: 0} {
		s.Turns = []transcript.Turn{turnBefore(0, 0, responses.Usage{InputTokens: 99, OutputTokens: used})}
		if got := s.TokensLeft(); got == nil || *got != want {
			t.Errorf("left %v after %d of 20, want %d", got, used, want)
		}
	}
}

func TestAChoiceIsForcedOnce(t *testing.T) {
	t.Parallel()
	for choice, want := range map[string]string{
		`"auto"`: "auto", `"none"`: "none", `"required"`: "auto", `{"type":"function","name":"ask"}`: "auto", `{"type":"mcp","server_label":"windlass"}`: "auto",
		`{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"ask"}]}`: "auto",
	} {
		s := newState(t, `,"tool_choice":`+choice)
		if got := s.Choice(); got.Mode != s.Tools.Choice.Mode || got.Tool != s.Tools.Choice.Tool {
			t.Errorf("%s is %+v in the first turn", choice, got)
		}
		s.Turns = []transcript.Turn{{}}
		if got := s.Choice(); got.Mode != want || got.Tool != nil {
			t.Errorf("%s is %+v in the second turn, want %s", choice, got, want)
		}
	}
}

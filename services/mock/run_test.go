package mock_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/mock"
)

func TestRunEndsWithThePlansAnswer(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]mock.Plan{
		"no tools":            {Seed: 1},
		"one tool":            {Seed: 2, Rounds: 1},
		"3 rounds of 5":       {Seed: 3, Rounds: 3, Width: 5},
		"long answer":         {Seed: 4, Rounds: 1, Width: 2, Tokens: 500},
		"own text":            {Seed: 5, Rounds: 1, Text: "That is “all”.\nOr\tnot."},
		"large results":       {Seed: 6, Rounds: 1, Width: 2, ToolBytes: 100_000},
		"duplicate ids":       {Seed: 7, Rounds: 2, Width: 3, CallIDs: "dup"},
		"empty ids":           {Seed: 8, Rounds: 2, Width: 3, CallIDs: "empty"},
		"ids used again":      {Seed: 9, Rounds: 2, Width: 3, CallIDs: "reuse"},
		"arguments no JSON":   {Seed: 10, Rounds: 1, Width: 2, RawArguments: "{oops"},
		"arguments of no use": {Seed: 11, Rounds: 1, Width: 2, RawArguments: "{}"},
		"empty arguments":     {Seed: 12, Rounds: 1, Width: 2, EmptyArguments: true},
		"reasoning":           {Seed: 13, Rounds: 1, Reasoning: "let me think"},
		"other tools":         {Seed: 14, Rounds: 1, Width: 3, Tools: []string{"one", "two"}},
		"slow ones":           {Seed: 15, Rounds: 2, Width: 2, SlowEvery: 2, SlowMS: 5, ToolMS: 1, ThinkMS: 1},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %v", name, stream), func(t *testing.T) {
				t.Parallel()
				_, url := serve(t)
				l := newLoop(t, url, "Do it. "+p.Prompt())
				l.stream = stream
				if got, want := l.run(), p.Answer(); got != want {
					t.Errorf("final text is %q, want %q", got, want)
				}
				if l.rounds != p.Rounds {
					t.Errorf("run took %d rounds, want %d", l.rounds, p.Rounds)
				}
				if got := l.last.Choices[0].Message.Reasoning; got != p.Reasoning {
					t.Errorf("reasoning is %q, want %q", got, p.Reasoning)
				}
				raw, _ := json.Marshal(l.messages)
				want := usage{Prompt: len(raw) / 4, Completion: len(strings.Fields(p.Answer())) + len(strings.Fields(p.Reasoning))}
				if diff := cmp.Diff(want, l.last.Usage); diff != "" {
					t.Errorf("usage of the last call (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestStreamIsTheSameTurn(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	for _, p := range []mock.Plan{
		{Seed: 1, Rounds: 1, Width: 3, Reasoning: "why not"},
		{Seed: 2, Tokens: 2000, FinishReason: "content_filter"},
		{Seed: 3, Text: "é \x00 “two  spaces” \n\ndata: [DONE]\n\n"},
		{Seed: 4, Tokens: 30, TokenRate: 2000},
	} {
		plain, streamed := newLoop(t, url, p.Prompt()), newLoop(t, url, p.Prompt())
		streamed.stream = true
		want, got := plain.model(), streamed.model()
		got.Usage.Prompt = want.Usage.Prompt
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("seed %d: streamed turn differs (-plain +streamed):\n%s", p.Seed, diff)
		}
	}
}

func TestStreamKeepsItsRate(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	l := newLoop(t, url, mock.Plan{Tokens: 20, TokenRate: 100}.Prompt())
	l.stream = true
	resp, err := l.post("/v1/chat/completions", l.request())
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	defer resp.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatalf("read first byte: %v", err)
	}
	arrived := time.Now()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatalf("read rest: %v", err)
	}
	if rest := time.Since(arrived); rest < 100*time.Millisecond {
		t.Errorf("20 tokens at 100/s: all came within %v of the first, want about 200ms", rest)
	}
}

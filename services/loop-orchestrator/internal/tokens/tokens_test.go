package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestChat(t *testing.T) {
	t.Parallel()
	const hello = `{"role":"user","content":"hello world"}` // 1 + 2, and what is around a message
	for name, tt := range map[string]struct {
		body string
		want int64
	}{
		"nothing":        {`{"messages":[]}`, 3},
		"one message":    {`{"messages":[` + hello + `]}`, 3 + 6}, // as the API counts it, too
		"two messages":   {`{"messages":[` + hello + `,` + hello + `]}`, 3 + 12},
		"parts":          {`{"messages":[{"role":"user","content":[{"type":"text","text":"hello"},{"type":"text","text":" world"}]}]}`, 3 + 6},
		"no content":     {`{"messages":[{"role":"user","content":null,"refusal":"hello world"}]}`, 3 + 6},
		"calls":          {`{"messages":[{"role":"user","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"hello","arguments":" world"}}]}]}`, 3 + 6},
		"tools":          {`{"messages":[` + hello + `],"tools":[{"type":"function","function":{"name":"f"}}]}`, 3 + 6 + 5},
		"a schema":       {`{"messages":[` + hello + `],"response_format":{"type":"json_schema","json_schema":{"name":"f"}}}`, 3 + 6 + 5},
		"special tokens": {`{"messages":[{"role":"user","content":"<|endoftext|>"}]}`, 3 + 3 + 1 + 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := Chat(t.Context(), []byte(tt.body)); err != nil || got != tt.want {
				t.Errorf("Chat = %d, %v, want %d", got, err, tt.want)
			}
		})
	}
}

func TestWhatIsNoTextIsNotEstimated(t *testing.T) {
	t.Parallel()
	for _, part := range []string{`{"type":"image_url","image_url":{"url":"data:x"}}`, `{"type":"file","file":{"file_id":"f"}}`} {
		body := `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},` + part + `]}]}`
		if n, err := Chat(t.Context(), []byte(body)); !errors.Is(err, ErrUncountable) {
			t.Errorf("%s is %d tokens, %v, want ErrUncountable", part, n, err)
		}
	}
	if _, err := Chat(t.Context(), []byte(`[`)); err == nil || errors.Is(err, ErrUncountable) {
		t.Errorf("a malformed body: %v", err)
	}
}

func chatOf(tb testing.TB, text string) []byte {
	tb.Helper()
	content, err := json.Marshal(text)
	if err != nil {
		tb.Fatal(err)
	}
	return fmt.Appendf(nil, `{"messages":[{"role":"user","content":%s}]}`, content)
}

// Pieces are what the whole is, as good as; and a part of a long text is,
// wherever in it the tokens are.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	const word = "the quick brown fox " // four tokens, the last blank with the next word
	for _, words := range []int{pieceSize / len(word) / 2, 3 * pieceSize / len(word), 4 * maxCounted / len(word)} {
		got, err := Chat(t.Context(), chatOf(t, strings.Repeat(word, words)))
		want := float64(4 * words)
		if off := (float64(got) - want) / want; err != nil || off < -0.01 || off > 0.01 {
			t.Errorf("%d words are %d tokens, %v, want %.0f within a hundredth", 4*words, got, err, want)
		}
	}
}

func TestLongTextsOfTwoKinds(t *testing.T) {
	t.Parallel()
	words, digits := strings.Repeat("the quick brown fox ", maxCounted/10), strings.Repeat("7", 2*maxCounted) // four tokens in 20 bytes, one in three
	want := float64(4*maxCounted/10 + 2*maxCounted/3)
	for name, text := range map[string]string{"words first": words + digits, "digits first": digits + words} {
		got, err := Chat(t.Context(), chatOf(t, text))
		if off := (float64(got) - want) / want; err != nil || off < -0.05 || off > 0.05 {
			t.Errorf("%s: %d tokens, %v, want %.0f within a twentieth", name, got, err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"short": "a b", "blanks": strings.Repeat("word ", pieceSize), "none": strings.Repeat("x", 3*pieceSize), "runes": strings.Repeat("語", pieceSize),
		"one ahead": " " + strings.Repeat("x", pieceSize), "no text": strings.Repeat("\x80", 2*pieceSize),
	} {
		var all strings.Builder
		for rest := text; rest != ""; {
			var first string
			if first, rest = split(rest); first == "" || len(first) > pieceSize {
				t.Fatalf("%s: a piece has %d bytes", name, len(first))
			}
			if name == "runes" && strings.ToValidUTF8(first, "") != first {
				t.Errorf("%s: a rune is cut", name)
			}
			all.WriteString(first)
		}
		if all.String() != text {
			t.Errorf("%s: the pieces are not the text", name)
		}
	}
}

// A count of any text ends soon, and at once with its context.
func TestCountsAreBounded(t *testing.T) {
	t.Parallel()
	if _, err := vocabulary(); err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{"=", " ", "a", "\n", "語", "ab1!", "\u0301", "\x00"} {
		began := time.Now()
		if _, err := count(t.Context(), []string{strings.Repeat(of, 16<<20/len(of))}); err != nil {
			t.Error(err)
		}
		took := time.Since(began)
		t.Logf("16 MiB of %q took %s", of, took)
		if took > 30*time.Second { // half a second on an idle machine, and a minute if all of it were counted
			t.Errorf("16 MiB of %q took %s, want a part of it counted", of, took)
		}
	}
	errGone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errGone)
	if _, err := Chat(ctx, chatOf(t, "hi")); !errors.Is(err, errGone) {
		t.Errorf("a count with an ended context ended with %v, want the cause", err)
	}
}

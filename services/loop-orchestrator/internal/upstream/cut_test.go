package upstream

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// TestCutCharacters holds that a text is whole even if the server cut a
// character between two pieces.
func TestCutCharacters(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pieces []string
		want   string
	}{
		"in the middle of surrogates": {[]string{`a\ud83d`, `\ude00b`}, "a😀b"},
		"in capitals":                 {[]string{`\uD83D`, `\uDE00`}, "😀"},
		"by bytes":                    {[]string{"a\xe2\x82", "\xacb"}, "a€b"},
		"byte by byte":                {[]string{"\xf0", "\x9f", "\x98", "\x80!"}, "😀!"},
		"behind an escape":            {[]string{`\\\ud83d`, `\ude00`}, `\😀`},
		"nothing is cut":              {[]string{`\ud83d\ude00`, "€\\n", `\\ud83d`}, "😀€\n\\ud83d"},
		"a half that is lost":         {[]string{`a\ud83d`, `b`, `c`}, "abc"},
		"a half that nothing began":   {[]string{"\x82b"}, "\ufffdb"},
	} {
		var body strings.Builder
		for _, p := range tt.pieces {
			body.WriteString("data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + p + "\"}}]}\n\n")
		}
		at := upstream(t, 200, nil, body.String()+"data: "+chatChunk3+"\n\n")
		a, err := Client{HTTP: freshClient()}.Complete(t.Context(), at, chat.Dialect{}, []byte(`{}`), Headers{}, func(model.Delta) {})
		if err != nil || len(a.Outputs) != 1 || a.Outputs[0].Parts[0].Text != tt.want {
			t.Errorf("%s: %+v, %v, want %q", name, a, err, tt.want)
		}
	}
}

// FuzzJoinCharacters holds that the result is JSON if the piece is, and that a
// text without a cut character is unchanged.
func FuzzJoinCharacters(f *testing.F) {
	f.Add([]byte(`{"a":"x\ud83d","b":["\ude00"]}`), []byte(`\ud83d`))
	f.Add([]byte("{\"a\":\"\xe2\x82\"}"), []byte("\xe2"))
	f.Fuzz(func(t *testing.T, doc, cut []byte) {
		if !json.Valid(doc) {
			return
		}
		_, half := joinCharacters([]byte(`{"a":"`+"\xe2"+`"}`), nil)
		for _, before := range [][]byte{nil, half, []byte(`\ud83d`)} {
			joined, rest := joinCharacters(doc, before)
			if !json.Valid(joined) {
				t.Fatalf("%q behind %q is %q", doc, before, joined)
			}
			if before == nil && rest == nil && string(joined) != string(doc) && utf8.Valid(doc) {
				t.Fatalf("%q is %q", doc, joined)
			}
		}
	})
}

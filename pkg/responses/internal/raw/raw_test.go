package raw

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in, want string
		err            error
	}{
		{name: "space around is cut", in: " \n{\"a\" : [1, 2]}\r\n", want: `{"a" : [1, 2]}`},
		{name: "line breaks between tokens are taken out", in: "{\n  \"a\": [1,\r\n 2]\n}", want: `{"a":[1,2]}`},
		{name: "U+0000 stays an escape", in: `"a\u0000b"`, want: `"a\u0000b"`},
		{name: "a pair of surrogates stays", in: `"\ud83d\uDE00"`, want: `"\ud83d\uDE00"`},
		{name: "a lone high surrogate is replaced", in: `["\ud83d","\\ud83d"]`, want: `["\ufffd","\\ud83d"]`},
		{name: "a lone low surrogate is replaced", in: `{"\uDE00x":"\ud83dA"}`, want: `{"\ufffdx":"\ufffdA"}`},
		{name: "a schema may be deep", in: `{"schema":` + nest(400) + `}`, want: `{"schema":` + nest(400) + `}`},
		{name: "64 levels are the limit", in: nest(64), want: nest(64)},
		{name: "65 levels are too deep", in: nest(65), err: ErrDepth},
		{name: "a schema has a limit too", in: `{"schema":` + nest(513) + `}`, err: ErrDepth},
		{name: "empty", err: ErrSyntax},
		{name: "only space", in: " ", err: ErrSyntax},
		{name: "byte order mark", in: "\ufeff{}", err: ErrSyntax},
		{name: "trailing garbage", in: `{}x`, err: ErrSyntax},
		{name: "tab in a string", in: "\"a\tb\"", err: ErrSyntax},
		{name: "not UTF-8", in: "\"\xff\"", err: ErrSyntax},
		{name: "UTF-16 surrogate in UTF-8", in: "\"\xed\xa0\x80\"", err: ErrSyntax},
		{name: "unfinished escape", in: `"\u12`, err: ErrSyntax},
		{name: "unknown escape", in: `"\x"`, err: ErrSyntax},
		{name: "leading zero", in: `01`, err: ErrSyntax},
		{name: "comma at the end", in: `[1,]`, err: ErrSyntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse([]byte(tt.in))
			if !errors.Is(err, tt.err) || string(got) != tt.want {
				t.Errorf("Parse(%.80q) = %.80q, %v; want %.80q, %v", tt.in, got, err, tt.want, tt.err)
			}
		})
	}
}

func nest(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestParseRefusesNestingAtOnce(t *testing.T) {
	t.Parallel()
	body := []byte(strings.Repeat("[", 100_000))
	var err error
	took := time.Hour
	for range 5 { // the best of five: other tests run beside it
		start := time.Now()
		_, err = Parse(body)
		took = min(took, time.Since(start))
	}
	if !errors.Is(err, ErrDepth) || took > 10*time.Millisecond {
		t.Errorf("Parse of 100,000 brackets = %v in %v, want %v within 10ms", err, took, ErrDepth)
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	v, err := Parse([]byte(`{ "a" : "x\"y\\" , "b\u0062":[1 , -2.5e3,true,null,{"c":"]"}],"a":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for key, m := range v.Members() {
		got = append(got, string(key)+"="+string(m))
	}
	if diff := cmp.Diff([]string{`a="x\"y\\"`, `bb=[1 , -2.5e3,true,null,{"c":"]"}]`, `a={}`}, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	var kinds []Kind
	for _, e := range v.Field("bb").Elements() {
		kinds = append(kinds, e.Kind())
	}
	if diff := cmp.Diff([]Kind{Int, Decimal, Bool, Null, Object}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if got := v.Field("bb").Len(); got != 5 {
		t.Errorf("Len = %d, want 5", got)
	}
	if got := v.Field("a").Kind(); got != Object {
		t.Errorf("kind of a repeated key = %v, want the last one's %v", got, Object)
	}
}

func TestAppendText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain <&> ü":        `"plain <&> ü"`,
		"\"\\\n\r\t\x00\x1f": `"\"\\\n\r\t\u0000\u001f"`,
		"a\xffb":             `"a\ufffdb"`,
		"\u0085\u2028\u2029": `"\u0085\u2028\u2029"`,
	} {
		if got := string(AppendText(nil, in)); got != want {
			t.Errorf("AppendText(%q) = %s, want %s", in, got, want)
		}
	}
}

// FuzzParse holds Parse against encoding/json.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"\ud800\u0041\n"],"b":{}}`, "[\n1 ]", `-0.0E+1`, `"\u00e9"`, nest(3), `{"schema":[]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Parse(b)
		if errors.Is(err, ErrDepth) {
			return
		}
		if want := json.Valid(b) && utf8.Valid(b); (err == nil) != want {
			t.Fatalf("Parse(%q) = %v, want valid: %v", b, err, want)
		}
		if err != nil {
			return
		}
		var want, got any
		if err := json.Unmarshal(b, &want); err == nil {
			if err := json.Unmarshal(v, &got); err != nil {
				t.Fatalf("Parse(%q) made %q: %v", b, v, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("Parse(%q) changed the value (-want +got):\n%s", b, diff)
			}
			if diff := cmp.Diff(want, generic(v)); diff != "" {
				t.Fatalf("walk of %q (-want +got):\n%s", v, diff)
			}
		}
	})
}

// generic builds what encoding/json would, by walking.
func generic(v Value) any {
	switch v.Kind() {
	case Object:
		m := map[string]any{}
		for key, e := range v.Members() {
			m[string(key)] = generic(e)
		}
		return m
	case Array:
		list := []any{}
		for _, e := range v.Elements() {
			list = append(list, generic(e))
		}
		return list
	case String:
		return v.Text()
	}
	var x any
	_ = json.Unmarshal(v, &x)
	return x
}

func FuzzAppendText(f *testing.F) {
	f.Add("a\x00\"\\\u2028\xff")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(AppendText(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && got != want {
			t.Fatalf("AppendText(%q) reads as %q", s, got)
		}
	})
}

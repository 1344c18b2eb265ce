package rawjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWalk(t *testing.T) {
	t.Parallel()
	v, ok := Valid([]byte(" { \"a\" : [1, \"]\\\"\" ,{\"b\":null}] ,\"\\u0063\":{} , \"d\":-1.5e3\n,\"a\":true} "))
	if !ok {
		t.Fatal("the text is not valid")
	}
	var members, elements []string
	for name, m := range Members(v) {
		members = append(members, name+"="+string(m))
	}
	for e := range Elements(json.RawMessage(strings.TrimPrefix(members[0], "a="))) {
		elements = append(elements, string(e))
	}
	diff := cmp.Diff([]string{`a=[1, "]\"" ,{"b":null}]`, `c={}`, `d=-1.5e3`, `a=true`}, members) + cmp.Diff([]string{`1`, `"]\""`, `{"b":null}`}, elements)
	if diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := string(Member(v, "a")); got != "true" {
		t.Errorf("the last a is %s", got)
	}
	for _, none := range []string{"", "null", `"x"`, "7", "[]", "[1]"} {
		for name := range Members(json.RawMessage(none)) {
			t.Errorf("%s has the member %s", none, name)
		}
	}
	for value, want := range map[string]int{"": 0, "null": 0, "[]": 0, "[ ]": 0, "{}": 1, `"x"`: 1, "[null,null]": 2} {
		n := 0
		for range Elements(json.RawMessage(value)) {
			n++
		}
		if n != want {
			t.Errorf("%s has %d elements, want %d", value, n, want)
		}
	}
}

func TestScalar(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][2]string{
		`"a\n"`: {"a\n", "a\n"}, `"\ud800"`: {"\uFFFD", "\uFFFD"}, "\"\xff\"": {"\uFFFD", "\uFFFD"}, `7`: {"", "7"}, `-1.5`: {"", "-1.5"},
		`true`: {"", "true"}, `null`: {"", ""}, ``: {"", ""}, `[]`: {"", ""}, `{}`: {"", ""}, `""`: {"", ""},
	} {
		if got := [2]string{Text(json.RawMessage(value)), Scalar(json.RawMessage(value))}; got != want {
			t.Errorf("%s is %q, want %q", value, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int64{
		`10`: 10, `10.0`: 10, `15.5`: 16, `1e3`: 1000, `"10"`: 10, `" 5.4 "`: 5, `"NaN"`: 0, `"Inf"`: 0, `"1e999"`: 0, `1e999`: 0, `-3`: 0, `"x"`: 0,
		``: 0, `null`: 0, `""`: 0, `[]`: 0, `{}`: 0, `true`: 0, `9223372036854775807`: 0, `1000000000`: 1000000000,
	} {
		if got := Count(json.RawMessage(value)); got != want {
			t.Errorf("Count(%s) = %d, want %d", value, got, want)
		}
	}
}

// FuzzWalk holds that valid JSON is walked to its end, and that each value is
// valid JSON.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":"\\"}],"c":"\"}"}`, ` [ ] `, `[[[]],{}]`, `"x"`, `-0`, "{\"\":\t1\n}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if v, ok := Valid(text); ok {
			walk(t, v, 0)
		}
	})
}

func walk(t *testing.T, v json.RawMessage, depth int) {
	t.Helper()
	if depth > 20 {
		return
	}
	if !json.Valid(v) {
		t.Fatalf("%q is not valid", v)
	}
	Text(v)
	Count(v)
	for _, m := range Members(v) {
		walk(t, m, depth+1)
	}
	if Kind(v) == '[' {
		var all []json.RawMessage
		if err := json.Unmarshal(v, &all); err != nil {
			t.Fatal(err)
		}
		n := 0
		for e := range Elements(v) {
			walk(t, e, depth+1)
			n++
		}
		if n != len(all) {
			t.Fatalf("%s has %d elements, want %d", v, n, len(all))
		}
	}
}

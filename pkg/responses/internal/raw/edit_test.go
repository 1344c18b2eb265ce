package raw

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWith(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in, key, to, want string
	}{
		{"a value is replaced in its place", `{"a":1,"m":"x","b":[2]}`, "m", `"y"`, `{"a":1,"m":"y","b":[2]}`},
		{"a key that is not there is added", `{"a":1}`, "m", `"y"`, `{"a":1,"m":"y"}`},
		{"an empty object gets its first member", `{}`, "m", `"y"`, `{"m":"y"}`},
		{"the first of several is replaced, the others go", `{"m":1,"a":2,"m":{"m":3}}`, "m", `4`, `{"m":4,"a":2}`},
		{"an escaped key is the same key", `{"\u006d":1,"a":2}`, "m", `4`, `{"\u006d":4,"a":2}`},
		{"no value takes the key out", `{"m":1,"a":{"m":2},"m":3}`, "m", ``, `{"a":{"m":2}}`},
		{"no value and no key change nothing", `{"a":1.50,"b":"\u0041"}`, "m", ``, `{"a":1.50,"b":"\u0041"}`},
		{"space inside of members stays", `{ "a" : [ 1 ] , "m" : 2 }`, "m", `3`, `{"a" : [ 1 ],"m" : 3}`},
		{"a key that has to be escaped", `{}`, "a\"b", `1`, `{"a\"b":1}`},
		{"no object", `["m"]`, "m", `1`, `["m"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := Parse([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := v.With(tt.key, Value(tt.to)); string(got) != tt.want {
				t.Errorf("%s with %s = %s is %s, want %s", tt.in, tt.key, tt.to, got, tt.want)
			}
		})
	}
}

// FuzzWith holds With against a map.
func FuzzWith(f *testing.F) {
	f.Add([]byte(`{"model":"a","b":[{"model":1}],"mod\u0065l":{}}`), "model", `"x"`)
	f.Add([]byte(`{ }`), "a\n\u2028", ``)
	f.Fuzz(func(t *testing.T, b []byte, key, to string) {
		v, err := Parse(b)
		if err != nil || v.Kind() != Object {
			return
		}
		value, err := Parse([]byte(to))
		if err != nil {
			value = nil
		}
		before := string(v)
		edited := v.With(key, value)
		if string(v) != before {
			t.Fatalf("%s became %s", before, v)
		}
		want, got := generic(v).(map[string]any), generic(edited).(map[string]any)
		if value == nil {
			delete(want, key)
		} else {
			if again, err := Parse(AppendText(nil, key)); err == nil { // as it can be written in JSON
				key = again.Text()
			}
			want[key] = generic(value)
		}
		if diff := cmp.Diff(want, got); diff != "" || !json.Valid(edited) {
			t.Fatalf("%s with %q = %s is %s (-want +got):\n%s", v, key, value, edited, diff)
		}
	})
}

package model

import (
	"encoding/json"
	"testing"
)

func TestReadArguments(t *testing.T) {
	t.Parallel()
	for member, want := range map[string]string{
		``: "", `null`: "", ` null `: "", `""`: "", `"{\"a\":1}"`: `{"a":1}`, `"{\"a"`: `{"a`, `" "`: " ",
		`{"a": {"b": [1, 2]}}`: `{"a":{"b":[1,2]}}`, "{\n}": `{}`, `{}`: `{}`, `[1, "x"]`: `[1,"x"]`, `7`: `7`, `1.50`: `1.50`, `true`: `true`,
		`{"a":"<ü>"}`: `{"a":"<ü>"}`, `{"n":12345678901234567890}`: `{"n":12345678901234567890}`,
	} {
		if got := ReadArguments(json.RawMessage(member)); got != want {
			t.Errorf("ReadArguments(%s) = %s, want %s", member, got, want)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``: `{}`, ` `: `{}`, "\n\t": `{}`, `null`: `{}`, ` null`: `{}`, `[]`: `{}`, `{}`: `{}`, ` {"a":1}`: ` {"a":1}`,
		`{"a`: `{"_invalid_arguments":"{\"a"}`, `[1]`: `{"_invalid_arguments":"[1]"}`, `nul`: `{"_invalid_arguments":"nul"}`,
		`{} {}`: `{"_invalid_arguments":"{} {}"}`,
	} {
		if got := Arguments(text); got != want {
			t.Errorf("Arguments(%q) = %s, want %s", text, got, want)
		}
	}
}

func FuzzReadArguments(f *testing.F) {
	for _, seed := range []string{``, `null`, `""`, `"{}"`, `{"a": 1}`, `[]`, `7`, `{"a`, `"\ud800"`, `{"_invalid_arguments":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, member []byte) {
		shown := Arguments(ReadArguments(member))
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(shown), &object); err != nil || object == nil {
			t.Errorf("a history would show %q for %q: %v", shown, member, err)
		}
	})
}

package registry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckCredentials(t *testing.T) {
	t.Setenv("WINDLASS_TEST_SECRET", "s3cret")
	t.Setenv("WINDLASS_TEST_BLANK", "  ")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, unset, blank := Credential{Env: "WINDLASS_TEST_SECRET"}, Credential{Env: "WINDLASS_TEST_UNSET"}, Credential{Env: "WINDLASS_TEST_BLANK"}
	r, err := New(File{
		Models: []Model{
			{Name: "open", Upstream: Upstream{URL: "http://h"}},
			{Name: "set", Upstream: Upstream{URL: "http://h", Credential: set}},
			{Name: "of/unset", Upstream: Upstream{URL: "http://h", Credential: unset}},
			{Name: "*", Upstream: Upstream{URL: "http://h", Credential: blank}},
		},
		Tools: []Tool{
			{Name: "file", URL: "http://h", Credential: Credential{File: file}},
			{Name: "gone", URL: "http://h", Credential: Credential{File: file + "s"}, Pool: "a"},
			{Name: "unset", URL: "http://h", Credential: unset, Pool: "b"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		err  error
		want []string // one of each line
	}{
		"all": {r.CheckCredentials(), []string{
			`model "*": resolve credential: environment variable WINDLASS_TEST_BLANK`,
			`model "of/unset": resolve credential: environment variable WINDLASS_TEST_UNSET`,
			`tool "gone": resolve credential: open `, `tool "unset": resolve credential: `,
		}},
		"models":   {r.CheckModelCredentials(), []string{`model "*"`, `model "of/unset"`}},
		"tools":    {r.CheckToolCredentials(), []string{`tool "gone"`, `tool "unset"`}},
		"one pool": {r.CheckToolCredentials("default", "b"), []string{`tool "unset"`}},
		"no fault": {r.CheckToolCredentials("default"), nil},
	} {
		var lines []string
		if tt.err != nil {
			lines = strings.Split(tt.err.Error(), "\n")
		}
		if len(lines) != len(tt.want) {
			t.Errorf("%s: %q, want %q", name, lines, tt.want)
			continue
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, tt.want[i]) || strings.Contains(line, "s3cret") {
				t.Errorf("%s: line %d is %q, want it to begin with %q", name, i, line, tt.want[i])
			}
		}
	}
	if err := r.CheckModelCredentials(); !errors.Is(err, ErrNoSecret) {
		t.Errorf("error is %v, want ErrNoSecret", err)
	}
}

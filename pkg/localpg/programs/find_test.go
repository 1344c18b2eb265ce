package programs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFindPrefersTheGivenDirectory(t *testing.T) {
	t.Parallel()
	good := installation(t, t.TempDir(), "bin", "postgres", "initdb")
	if got, err := Find(good); err != nil || got != good {
		t.Errorf("Find(%s) = %s, %v, want the same directory", good, got, err)
	}
	half := installation(t, t.TempDir(), "bin", "postgres")
	if got, err := Find(half); !errors.Is(err, ErrNotFound) {
		t.Errorf("Find in a directory without initdb = %s, %v, want ErrNotFound", got, err)
	}
}

func TestNewestVersionWins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		dirs []string
		want string
	}{
		{"by number, not by text", []string{"9.6/bin", "18/bin", "15/bin"}, "18/bin"},
		{"behind a Homebrew name", []string{"postgresql@9/bin", "postgresql@17/bin"}, "postgresql@17/bin"},
		{"behind a Red Hat name", []string{"pgsql-9.6/bin", "pgsql-17/bin"}, "pgsql-17/bin"},
		{"nothing installed", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for _, dir := range tt.dirs {
				installation(t, root, dir, "postgres", "initdb")
			}
			installation(t, root, "99/bin", "psql")
			want := tt.want
			if want != "" {
				want = filepath.Join(root, want)
			}
			got := append(newestFirst(filepath.Join(root, "*", "bin")), "")
			if got[0] != want {
				t.Errorf("newest of %v = %q, want %q", tt.dirs, got[0], want)
			}
		})
	}
}

// installation makes executable files below root/dir and returns that
// directory.
func installation(t *testing.T, root, dir string, names ...string) string {
	t.Helper()
	dir = filepath.Join(root, dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

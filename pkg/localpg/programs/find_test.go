package programs

import (
	"errors"
	"path/filepath"
	"testing"

	"windlass.dev/windlass/pkg/localpg/internal/localpgtest"
)

func TestFindPrefersTheGivenDirectory(t *testing.T) {
	t.Parallel()
	good := localpgtest.Installation(t, t.TempDir(), "bin", "postgres", "initdb")
	if got, err := Find(good); err != nil || got != good {
		t.Errorf("Find(%s) = %s, %v, want the same directory", good, got, err)
	}
	half := localpgtest.Installation(t, t.TempDir(), "bin", "postgres")
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
				localpgtest.Installation(t, root, dir, "postgres", "initdb")
			}
			localpgtest.Installation(t, root, "99/bin", "psql")
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

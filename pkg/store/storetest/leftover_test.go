package storetest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestOnlyAbandonedDirectoriesAreRemoved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		age          time.Duration
		lock, locked bool
		kept         bool
	}{
		{"killed before its lock", 2 * leftoverAge, false, false, false},
		{"killed while it ran", 2 * leftoverAge, true, false, false},
		{"still running", 2 * leftoverAge, true, true, true},
		{"just made", 0, false, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, dirPrefix+"1")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if tt.lock {
				f, err := os.Create(filepath.Join(dir, "lock"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				if tt.locked {
					if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
						t.Fatal(err)
					}
				}
			}
			then := time.Now().Add(-tt.age)
			if err := os.Chtimes(dir, then, then); err != nil {
				t.Fatal(err)
			}
			removeLeftovers(parent)
			if _, err := os.Stat(dir); (err == nil) != tt.kept {
				t.Errorf("directory is there: %v, want %v", err == nil, tt.kept)
			}
		})
	}
}

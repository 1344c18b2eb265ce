package processes

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

func TestProcessesOfThisMachine(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("this system has no /proc")
	}
	self := Set{Load: os.Getpid(), Mock: -1}
	if held := self.Memory()[Load]; held < 1<<20 {
		t.Errorf("this process holds %d bytes, want some MB", held)
	}
	used := self.CPU()
	if _, known := used[Mock]; known || len(used) != 1 {
		t.Errorf("processor times = %v, want those of this process only", used)
	}
}

// TestChildrenCountWithPostgres starts a child whose name needs a careful
// parser.
func TestChildrenCountWithPostgres(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("this system has no /proc")
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	odd := filepath.Join(t.TempDir(), "a ) odd (nam")
	if err := os.Symlink(sleep, odd); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), odd, "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	var found []int
	for _, p := range childrenOf(os.Getpid()) {
		found = append(found, p.PID)
	}
	if !slices.Contains(found, child.Process.Pid) {
		t.Errorf("the children are %v, want %d among them", found, child.Process.Pid)
	}
	set := Set{Postgres: os.Getpid(), Load: os.Getpid()}
	if held := set.Memory(); held[Postgres] <= held[Load] {
		t.Errorf("with its children this process holds %d bytes, without them %d, want more", held[Postgres], held[Load])
	}
}

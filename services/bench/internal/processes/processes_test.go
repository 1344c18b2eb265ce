package processes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
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
	// A shell and its child, whose memory does not change as that of a Go
	// program does.
	shell := exec.CommandContext(t.Context(), "sh", "-c", `"$0" 60 & echo $!; wait`, odd)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL); _ = shell.Wait() })
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, p := range childrenOf(shell.Process.Pid) {
		found = append(found, p.PID)
	}
	if !slices.Contains(found, child) {
		t.Errorf("the children are %v, want %d among them", found, child)
	}
	set := Set{Postgres: shell.Process.Pid, Load: shell.Process.Pid}
	if held := set.Memory(); held[Postgres] <= held[Load] {
		t.Errorf("with its child a shell holds %d bytes, without it %d, want more", held[Postgres], held[Load])
	}
}

//go:build e2e

package e2e

import "syscall"

// childAttr has the kernel kill a child when the thread that started it ends:
// when the test binary ends at the latest, however it ends.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

//go:build e2e

package e2e

import "syscall"

// childAttr has the kernel kill a child when the thread that started it ends, which is at the latest when the test binary does,
// however that dies.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

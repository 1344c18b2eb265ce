package isolate

import "syscall"

// childAttr has the kernel kill the process when its parent ends, and keeps it
// from the signals of the parent's group.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

package localpg

import "syscall"

// childAttr puts a child into its own process group, so that a terminal's
// Ctrl-C reaches the services first, and has the kernel send it SIGINT (fast
// shutdown) when the thread that started it ends. The caller therefore stays
// locked to its thread until the child has ended.
func childAttr(a account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: a.credential(), Pdeathsig: syscall.SIGINT}
}

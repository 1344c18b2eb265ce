//go:build !linux

package localpg

import "syscall"

// childAttr puts a child into its own process group, so that a terminal's
// Ctrl-C reaches the services first.
func childAttr(a account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: a.credential()}
}

//go:build !linux

package isolate

import "syscall"

func childAttr() *syscall.SysProcAttr { return nil }

//go:build !linux

package process

import "syscall"

// childAttr: without Linux there is no parent-death signal; a test that is
// killed leaves its children.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

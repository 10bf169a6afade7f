package process

import "syscall"

// childAttr puts the child into a process group of its own, so that Ctrl-C
// reaches only the test, which then ends its children in order; and has the
// kernel kill it when the test dies.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

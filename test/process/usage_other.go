//go:build !linux

package process

import (
	"errors"
	"time"
)

// Usage is what a program takes of the machine.
type Usage struct {
	RSSBytes int64
	CPU      time.Duration // user and system, since its start
}

// Usage is known on Linux only.
func (p *Process) Usage() (Usage, error) {
	return Usage{}, errors.New("read usage: there is no /proc")
}

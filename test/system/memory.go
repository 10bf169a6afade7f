package system

import (
	"fmt"
	"os"
	"strings"
)

// Memory is what a program has in memory, in bytes.
type Memory struct {
	Resident  int64 // all of it
	Peak      int64 // the most that Resident ever was
	Anonymous int64 // its own part of Resident
	File      int64 // pages of its file, which the kernel may drop
}

// Memory reads it from /proc.
func (p *Program) Memory() (Memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return Memory{}, fmt.Errorf("read memory: %w", err)
	}
	var m Memory
	fields := map[string]*int64{"VmRSS": &m.Resident, "VmHWM": &m.Peak, "RssAnon": &m.Anonymous, "RssFile": &m.File}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		to, ok := fields[name]
		if !ok {
			continue
		}
		if _, err := fmt.Sscanf(value, "%d kB", to); err != nil {
			return Memory{}, fmt.Errorf("parse memory %q: %w", line, err)
		}
		*to <<= 10
	}
	if m.Resident == 0 {
		return Memory{}, fmt.Errorf("read memory: process %d has ended", p.PID())
	}
	return m, nil
}

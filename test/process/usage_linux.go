package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Usage is what a program takes of the machine.
type Usage struct {
	RSSBytes int64
	CPU      time.Duration // user and system, since its start
}

// clockTick is USER_HZ, which is 100 on every architecture that Linux has today.
const clockTick = 10 * time.Millisecond

// Usage reads it from /proc.
func (p *Process) Usage() (Usage, error) {
	pid := p.PID()
	if pid == 0 {
		return Usage{}, fmt.Errorf("read usage of %s: it does not run", p.o.Name)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	u, err := parseStat(b)
	if err != nil {
		return Usage{}, fmt.Errorf("parse /proc/%d/stat: %w", pid, err)
	}
	return u, nil
}

// parseStat reads utime, stime and rss. The program's name, in brackets, may
// hold anything. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func parseStat(b []byte) (Usage, error) {
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 22 {
		return Usage{}, errors.New("too few fields")
	}
	var values [3]int64
	for i, at := range []int{11, 12, 21} { // fields 14, 15, 24 of the manual
		v, err := strconv.ParseInt(string(fields[at]), 10, 64)
		if err != nil {
			return Usage{}, err
		}
		values[i] = v
	}
	return Usage{RSSBytes: values[2] * int64(os.Getpagesize()), CPU: time.Duration(values[0]+values[1]) * clockTick}, nil
}

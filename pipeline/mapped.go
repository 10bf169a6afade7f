package pipeline

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Of a program's file, 62 MB for the agent, a quarter is in use once it runs.
// Yet all of it stays mapped, and counts as the program's memory: the start
// touches the most of it (schemes, tables, flags), and the kernel maps whole
// 2 MiB where the page cache has them. So what the program does not use is
// unmapped every unmapEvery. What it then misses is mapped again from the page
// cache, 64 KiB at once: CPU per log line did not change measurably. A kernel
// short of memory may drop unmapped pages sooner and read them again.
const (
	unmapFirst = 10 * time.Second // by then all components have started
	unmapEvery = 15 * time.Second
)

// keepUnmapped keeps the program's unused code and constants out of its memory
// until stop is called. Where the kernel cannot do that, they are in it.
func keepUnmapped() (stop func()) {
	file, err := os.Open("/proc/self/maps")
	if err != nil {
		return func() {}
	}
	defer file.Close()
	regions, err := constantRegions(file)
	if err != nil || len(regions) == 0 {
		return func() {}
	}
	advise(regions, unix.MADV_NOHUGEPAGE)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for wait := unmapFirst; ; wait = unmapEvery {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
				advise(regions, unix.MADV_DONTNEED)
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// region is a range of addresses.
type region struct{ start, end uintptr }

// constantRegions finds where the program's own file is mapped and cannot be
// written to, in a list as /proc/PID/maps has it: proc_pid_maps(5).
func constantRegions(maps io.Reader) ([]region, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program's file: %w", err)
	}
	var found []region
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var r region
		var permissions string
		if !strings.HasSuffix(lines.Text(), " "+own) {
			continue
		}
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &r.start, &r.end, &permissions); err != nil {
			return nil, fmt.Errorf("parse memory map %q: %w", lines.Text(), err)
		}
		if !strings.Contains(permissions, "w") {
			found = append(found, r)
		}
	}
	return found, lines.Err()
}

// advise tells the kernel how regions of the program's file are used. It may
// not know the advice; the program runs the same without.
func advise(regions []region, advice int) {
	for _, r := range regions {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, r.start, r.end-r.start, uintptr(advice))
	}
}

package pipeline

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Of a program's file, 62 MiB for the agent, a quarter is in use once it runs.
// The start touches nearly all of it (schemes, tables, flags of a thousand
// packages), and what it touched stays mapped and cached: the kernel cannot
// know that it was for once. So the program gives its file's pages back, once:
// they are unmapped and leave the page cache, so that the machine has the
// memory and not only the program a smaller RSS. What is in use is read again
// from the disk, page by page: 6 to 8 MiB within a minute, at full load. That
// stays so: reading ahead as usual would bring back what was just dropped.
const startPagesAfter = 2 * time.Second // by then all components have started

// dropStartPages gives the start's pages back, after the start, until stop is
// called. Where the kernel cannot do that, they stay.
func dropStartPages() (stop func()) {
	timers := []*time.Timer{
		// Begins to write a file that was just unpacked: only what is on the
		// disk can be dropped.
		time.AfterFunc(startPagesAfter/2, dropUnmapped),
		time.AfterFunc(startPagesAfter, func() {
			if regions, err := ownRegions(); err == nil {
				advise(regions, unix.MADV_RANDOM) // no neighbours of what is read again
				dropPages(regions)
			}
		}),
	}
	return func() {
		for _, t := range timers {
			t.Stop()
		}
	}
}

// dropPages drops the program's file from memory. Pages stay that another
// program maps, that are not on the disk yet, or that were written to in memory
// (MADV_DONTNEED would lose those: the relocations of a program linked by C's
// linker); and all of them if the file is another user's.
func dropPages(regions []region) {
	advise(regions, unix.MADV_PAGEOUT)
	dropUnmapped()
}

// dropUnmapped drops the pages of the program's file that nobody maps.
func dropUnmapped() {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return
	}
	defer file.Close()
	_ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// region is a range of addresses.
type region struct{ start, end uintptr }

// ownRegions are where the program's code and constants are mapped.
func ownRegions() ([]region, error) {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("find the program's file: %w", err)
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, fmt.Errorf("open memory map: %w", err)
	}
	defer maps.Close()
	return constantRegions(maps, own)
}

// constantRegions finds where a file is mapped and cannot be written to, in a
// list as /proc/PID/maps has it: proc_pid_maps(5).
func constantRegions(maps io.Reader, file string) ([]region, error) {
	var found []region
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		if !strings.HasSuffix(lines.Text(), " "+file) {
			continue
		}
		var r region
		var permissions string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &r.start, &r.end, &permissions); err != nil {
			return nil, fmt.Errorf("parse memory map %q: %w", lines.Text(), err)
		}
		if !strings.Contains(permissions, "w") {
			found = append(found, r)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read memory map: %w", err)
	}
	return found, nil
}

// advise tells the kernel how regions of the program's file are used. It may
// not know the advice; the program runs the same without.
func advise(regions []region, advice int) {
	for _, r := range regions {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, r.start, r.end-r.start, uintptr(advice))
	}
}

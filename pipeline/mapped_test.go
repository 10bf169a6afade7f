package pipeline

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// residentBytes is what is mapped of a region now.
func residentBytes(t *testing.T, r region) (bytes int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int
		if strings.HasPrefix(lines.Text(), fmt.Sprintf("%08x-%08x ", r.start, r.end)) {
			inside = true
		} else if _, err := fmt.Sscanf(lines.Text(), "Rss: %d kB", &kib); inside && err == nil {
			return kib << 10
		}
	}
	t.Fatalf("no region %x", r.start)
	return 0
}

func TestUnusedCodeIsUnmapped(t *testing.T) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	regions, err := constantRegions(maps)
	if err != nil || len(regions) < 2 {
		t.Fatalf("regions %x, %v: want code and constants", regions, err)
	}
	for _, r := range regions {
		size := int(r.end - r.start)
		if size < 1<<20 {
			continue // headers
		}
		advise([]region{r}, unix.MADV_NOHUGEPAGE)
		advise([]region{r}, unix.MADV_POPULATE_READ)
		if n := residentBytes(t, r); n != size {
			t.Fatalf("%d of %d bytes are mapped", n, size)
		}
		advise([]region{r}, unix.MADV_DONTNEED)
		if n := residentBytes(t, r); n > size/2 {
			t.Errorf("%d of %d bytes are still mapped", n, size)
		}
	}
	keepUnmapped()()
}

func TestOnlyConstantsAreUnmapped(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	regions, err := constantRegions(strings.NewReader(
		"00400000-01fd7000 r-xp 00000000 fe:00 1    " + own + "\n" +
			"01fd7000-040ba000 r--p 01bd7000 fe:00 1    " + own + "\n" +
			"040ba000-0424e000 rw-p 03cba000 fe:00 1    " + own + "\n" +
			"7f2551a04000-7f2551aa8000 r-xp 00000000 fe:00 2    /usr/lib/libc.so.6\n" +
			"7f2551b04000-7f2551ba8000 r--p 00000000 00:00 0 \n"))
	if err != nil || fmt.Sprint(regions) != fmt.Sprint([]region{{0x400000, 0x1fd7000}, {0x1fd7000, 0x40ba000}}) {
		t.Errorf("regions %x, %v", regions, err)
	}
}

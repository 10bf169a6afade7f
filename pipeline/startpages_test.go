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
func residentBytes(t *testing.T, r region) int {
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

func TestStartPagesAreDropped(t *testing.T) {
	regions, err := ownRegions()
	if err != nil || len(regions) < 2 {
		t.Fatalf("regions %x, %v: want code and constants", regions, err)
	}
	own, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if err := own.Sync(); err != nil { // go test has just written it
		t.Fatal(err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(own.Fd()), &fs); err != nil {
		t.Fatal(err)
	}
	before, after := 0, 0
	advise(regions, unix.MADV_POPULATE_READ)
	for _, r := range regions {
		before += residentBytes(t, r)
	}
	advise(regions, unix.MADV_RANDOM)
	dropPages(regions)
	for _, r := range regions {
		after += residentBytes(t, r)
	}
	advise(regions, unix.MADV_NORMAL)
	t.Logf("%d of %d bytes are left", after, before)
	if after > before/2 && fs.Type != unix.TMPFS_MAGIC { // whose pages have no other place
		t.Errorf("%d of %d bytes are still mapped", after, before)
	}
}

func TestOnlyConstantsAreDropped(t *testing.T) {
	regions, err := constantRegions(strings.NewReader(
		"00400000-01fd7000 r-xp 00000000 fe:00 1    /crowsnest-agent\n"+
			"01fd7000-040ba000 r--p 01bd7000 fe:00 1    /crowsnest-agent\n"+
			"040ba000-0424e000 rw-p 03cba000 fe:00 1    /crowsnest-agent\n"+
			"7f2551a04000-7f2551aa8000 r-xp 00000000 fe:00 2    /usr/lib/libc.so.6\n"+
			"7f2551b04000-7f2551ba8000 r--p 00000000 00:00 0 \n"), "/crowsnest-agent")
	if err != nil || fmt.Sprint(regions) != fmt.Sprint([]region{{0x400000, 0x1fd7000}, {0x1fd7000, 0x40ba000}}) {
		t.Errorf("regions %x, %v", regions, err)
	}
	if regions, err := constantRegions(strings.NewReader("nonsense r-xp /a"), "/a"); err == nil {
		t.Errorf("regions %x of a damaged list", regions)
	}
}

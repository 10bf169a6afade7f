package terminations

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// keep writes records as a counter does, and ends without a word.
func keep(t *testing.T, directory string, records ...record) {
	t.Helper()
	ta, j := newTally(100, 100), &journal{directory: directory}
	if _, err := j.open(ta, time.UnixMilli(0)); err != nil {
		t.Fatal(err)
	}
	if err := j.compact(ta); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		ta.apply(r)
		if err := j.append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}

func reopen(t *testing.T, directory string) (*tally, bool, error) {
	t.Helper()
	ta, j := newTally(100, 100), &journal{directory: directory}
	found, err := j.open(ta, time.UnixMilli(5000))
	return ta, found, err
}

func values(ta *tally) map[string]float64 {
	ta.apply(record{Kind: kindTold, At: 1 << 50})
	return flatten(ta.metrics("n", time.UnixMilli(9000)))
}

func TestStateSurvives(t *testing.T) {
	dir := t.TempDir()
	if _, found, err := reopen(t, dir); found || err != nil {
		t.Fatalf("empty folder: %v %v", found, err)
	}
	keep(t, dir, record{Kind: kindRunning, ID: "a", identity: web, At: 1}, exit("a", web, "Completed", 0))
	keep(t, dir, record{Kind: kindKills, ID: "a", At: 2, Kills: 3}, record{Kind: kindGone, ID: "a", At: 3}, exit("b", web, "Error", 1))
	keep(t, dir, exit("a", web, "Completed", 0), exit("c", web, "Error", 1)) // a is known
	ta, found, err := reopen(t, dir)
	if !found || err != nil {
		t.Fatal(found, err)
	}
	if diff := cmp.Diff(map[string]float64{completed: 1, failed: 2, killed: 3}, values(ta)); diff != "" {
		t.Error(diff)
	}
	if c := ta.Containers["a"]; c == nil || c.Gone != 3 || !c.Exited || c.Pod != "web-0" {
		t.Errorf("container: %+v", c)
	}
}

// TestToldSurvives: a series that was sent with its count must not be 0 again.
func TestToldSurvives(t *testing.T) {
	for _, twice := range []bool{false, true} {
		dir := t.TempDir()
		keep(t, dir, exit("a", web, "Completed", 0), record{Kind: kindTold, At: 2000})
		if twice {
			keep(t, dir) // now it is in the snapshot
		}
		ta, _, err := reopen(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]float64{completed: 1}, flatten(ta.metrics("n", time.UnixMilli(9000)))); diff != "" {
			t.Errorf("twice %v: %s", twice, diff)
		}
	}
}

// TestTornJournal cuts the journal at every byte: what was whole counts.
func TestTornJournal(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, exit("a", web, "Completed", 0), exit("b", web, "Completed", 0))
	whole, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		torn := t.TempDir()
		copyFile(t, dir, torn, snapshotName)
		if err := os.WriteFile(filepath.Join(torn, journalName), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		ta, found, err := reopen(t, torn)
		lines := bytes.Count(whole[:cut], []byte{'\n'})
		want := float64(max(0, lines-1))
		if got := values(ta)[completed]; !found || got != want {
			t.Fatalf("cut at %d: found %v, %v exits, want %v", cut, found, got, want)
		}
		if atEnd := cut > 0 && whole[cut-1] == '\n'; (err == nil) != (atEnd || cut == 0) {
			t.Fatalf("cut at %d: error %v", cut, err)
		}
	}
}

// TestJournalOfEarlierSnapshot is a crash between the two writes of compact.
func TestJournalOfEarlierSnapshot(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, exit("a", web, "Completed", 0))
	old := t.TempDir()
	copyFile(t, dir, old, journalName)
	keep(t, dir) // takes the journal into the snapshot
	copyFile(t, old, dir, journalName)
	ta, _, err := reopen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := values(ta)[completed]; got != 1 {
		t.Errorf("%v exits", got)
	}
}

func TestCorruptStateIsSetAside(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, exit("a", web, "Completed", 0))
	if err := os.WriteFile(filepath.Join(dir, snapshotName), []byte(`{"generation":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := reopen(t, dir); err == nil || !strings.Contains(err.Error(), "decode state") {
		t.Errorf("error: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, snapshotName+".corrupt")); err != nil {
		t.Error(err)
	}
	if _, found, err := reopen(t, dir); found || err != nil {
		t.Errorf("afterwards: %v %v", found, err)
	}
}

// TestFullDisk: counting goes on, and all is kept once there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	ta, j := newTally(100, 100), &journal{directory: dir}
	if err := j.compact(ta); err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	j.file.Close()
	j.file = full
	r := exit("a", web, "Completed", 0)
	ta.apply(r)
	if err := j.append(r); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error: %v", err)
	}
	if err := j.sync(ta); err != nil { // there is room again
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	back, _, err := reopen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := values(back)[completed]; got != 1 {
		t.Errorf("%v exits", got)
	}
}

func copyFile(t *testing.T, from, to, name string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzState(f *testing.F) {
	ta := newTally(100, 100)
	ta.apply(exit("a", web, "Completed", 0))
	snapshot, err := ta.encode(1)
	if err != nil {
		f.Fatal(err)
	}
	head, _ := encodeLine(journalHead{1})
	line, _ := encodeLine(exit("b", web, "Error", 1))
	f.Add(snapshot, append(head, line...))
	f.Fuzz(func(t *testing.T, snapshot, journal []byte) {
		ta := newTally(10, 10)
		generation, err := ta.decode(snapshot, time.UnixMilli(1))
		if err != nil {
			return
		}
		if _, torn := ta.replay(journal, generation); torn > len(journal) {
			t.Errorf("%d of %d bytes torn", torn, len(journal))
		}
		ta.metrics("n", time.UnixMilli(1))
		ta.expired(time.UnixMilli(1), time.Second)
		if _, err := ta.encode(1); err != nil {
			t.Error(err)
		}
	})
}

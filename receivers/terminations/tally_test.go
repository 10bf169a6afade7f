package terminations

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func exit(id string, who identity, reason string, code int32) record {
	return record{Kind: kindExited, ID: id, identity: who, At: 1000, Reason: reason, ExitCode: code}
}

var web = identity{Namespace: "shop", Pod: "web-0", UID: "u1", Container: "http"}

const (
	completed = `container_terminations_total{container="http",exit_code="0",namespace="shop",pod="web-0",reason="Completed"}`
	failed    = `container_terminations_total{container="http",exit_code="1",namespace="shop",pod="web-0",reason="Error"}`
	killed    = `container_oom_kills_total{container="http",namespace="shop",pod="web-0"}`
)

func TestExitCountsOnce(t *testing.T) {
	ta := newTally(100, 100)
	for range 3 {
		ta.apply(exit("a", web, "Completed", 0))
	}
	ta.apply(exit("a", web, "Error", 1)) // other news of the same end
	ta.apply(record{Kind: kindGone, ID: "a", At: 2000})
	ta.apply(exit("a", web, "Completed", 0)) // an event that was under way
	ta.apply(exit("b", web, "Completed", 0))
	ta.apply(exit("c", web, "Error", 1))
	ta.apply(record{Kind: kindTold, At: 2000})
	want := map[string]float64{completed: 2, failed: 1}
	if diff := cmp.Diff(want, flatten(ta.metrics("n", time.UnixMilli(3000)))); diff != "" {
		t.Error(diff)
	}
}

// TestSeriesBeginsWithZero: what happened before the first list does not.
func TestSeriesBeginsWithZero(t *testing.T) {
	ta := newTally(100, 100)
	ta.apply(exit("a", web, "Completed", 0))
	old := exit("b", web, "Error", 1)
	old.Old = true
	ta.apply(old)
	if diff := cmp.Diff(map[string]float64{completed: 0, failed: 1}, flatten(ta.metrics("n", time.UnixMilli(1000)))); diff != "" {
		t.Errorf("first: %s", diff)
	}
	ta.apply(record{Kind: kindTold, At: 10}) // the clock was set back
	if diff := cmp.Diff(map[string]float64{completed: 1, failed: 1}, flatten(ta.metrics("n", time.UnixMilli(2000)))); diff != "" {
		t.Errorf("second: %s", diff)
	}
	if ta.untold() {
		t.Error("a series is left untold")
	}
}

func TestKillsOfKernelAndReason(t *testing.T) {
	ta := newTally(100, 100)
	ta.apply(record{Kind: kindRunning, ID: "a", identity: web, At: 1})
	if diff := cmp.Diff(map[string]float64{killed: 0}, flatten(ta.metrics("n", time.UnixMilli(2)))); diff != "" {
		t.Errorf("a container that runs: %s", diff)
	}
	for _, kills := range []uint64{2, 2, 1, 5} { // totals; the kernel's never falls
		ta.apply(record{Kind: kindKills, ID: "a", At: 3, Kills: kills})
	}
	ta.apply(record{Kind: kindKills, ID: "b", identity: web, At: 3, Kills: 1}) // the next start of it
	ta.apply(record{Kind: kindTold, At: 4})
	if diff := cmp.Diff(map[string]float64{killed: 6}, flatten(ta.metrics("n", time.UnixMilli(5)))); diff != "" {
		t.Error(diff)
	}
	if ta.Attributed["u1"] != 6 {
		t.Errorf("%d kills attributed to the pod", ta.Attributed["u1"])
	}
}

// TestSeriesLimit: the sum over all series stays exact.
func TestSeriesLimit(t *testing.T) {
	ta := newTally(3, 1000)
	for i := range 10 {
		who := web
		who.Pod = fmt.Sprint("web-", i)
		ta.apply(exit(fmt.Sprint(i), who, "Error", int32(i)))
		ta.apply(record{Kind: kindKills, ID: fmt.Sprint(i), At: 1, Kills: 2})
	}
	ta.apply(record{Kind: kindTold, At: 2000})
	got := flatten(ta.metrics("n", time.UnixMilli(3000)))
	if len(got) > 5 || sum(got, exitsName) != 10 || sum(got, killsName) != 20 {
		t.Errorf("%d series: %v", len(got), got)
	}
	if got[`container_terminations_total{reason="SeriesLimit"}`] == 0 || got[`container_oom_kills_total{}`] == 0 {
		t.Errorf("what is over the limit has no series: %v", got)
	}
}

// TestContainerLimit: the oldest that are gone make room; those that are there
// are never forgotten.
func TestContainerLimit(t *testing.T) {
	ta := newTally(100, 10)
	for i := range 5 {
		ta.apply(record{Kind: kindRunning, ID: fmt.Sprint("running", i), identity: web, At: 1})
	}
	for i := range 100 {
		id := fmt.Sprint("short", i)
		if !ta.apply(exit(id, web, "Completed", 0)) {
			t.Fatalf("exit %d was not counted", i)
		}
		ta.apply(record{Kind: kindGone, ID: id, At: int64(i + 1)})
	}
	if len(ta.Containers) > 10 || ta.untracked != 0 {
		t.Errorf("%d containers remembered, %d not", len(ta.Containers), ta.untracked)
	}
	for i := range 5 {
		ta.apply(record{Kind: kindRunning, ID: fmt.Sprint("more", i), identity: web, At: 1})
	}
	if ta.apply(exit("one too many", web, "Completed", 0)) || ta.untracked != 1 {
		t.Errorf("%d untracked", ta.untracked)
	}
}

func TestPodExpires(t *testing.T) {
	ta := newTally(100, 100)
	ta.apply(exit("a", web, "Completed", 0))
	ta.apply(record{Kind: kindKills, ID: "a", At: 1000, Kills: 1})
	minute := func(n int) time.Time { return time.UnixMilli(1000).Add(time.Duration(n) * time.Minute) }
	if got := ta.expired(minute(60), 10*time.Minute); len(got) != 0 {
		t.Fatalf("expired while the runtime has its container: %v", got)
	}
	ta.apply(record{Kind: kindGone, ID: "a", At: minute(60).UnixMilli()})
	if got := ta.expired(minute(69), 10*time.Minute); len(got) != 0 {
		t.Fatalf("expired too early: %v", got)
	}
	got := ta.expired(minute(71), 10*time.Minute)
	if diff := cmp.Diff([]podKey{{"shop", "web-0"}}, got); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff(map[string]float64{"stale " + completed: 0, "stale " + killed: 0}, flatten(ta.stale("n", minute(71), got))); diff != "" {
		t.Error(diff)
	}
	ta.apply(record{Kind: kindExpired, identity: identity{Namespace: "shop", Pod: "web-0"}, At: minute(71).UnixMilli()})
	ta.forget(minute(71))
	if len(ta.Exits)+len(ta.Kills)+len(ta.Pods)+len(ta.Containers) != 0 {
		t.Errorf("left: %v %v %v %v", ta.Exits, ta.Kills, ta.Pods, ta.Containers)
	}
}

// A container that was made by hand has no pod, and neither have the series over
// the limit: these stay when that is gone.
func TestSeriesOverTheLimitDoNotExpire(t *testing.T) {
	ta := newTally(1, 100)
	ta.apply(exit("a", identity{Container: "by hand"}, "Completed", 0))
	ta.apply(exit("b", web, "Completed", 0))
	ta.apply(record{Kind: kindKills, ID: "b", At: 1000, Kills: 1})
	gone := ta.stale("n", time.UnixMilli(2000), []podKey{{}})
	if n := gone.DataPointCount(); n != 1 {
		t.Errorf("%d series end, want that of the container: %v", n, flatten(gone))
	}
	ta.apply(record{Kind: kindExpired})
	if len(ta.Exits) != 1 || len(ta.Kills) != 1 {
		t.Errorf("left: %v %v", ta.Exits, ta.Kills)
	}
}

func BenchmarkExit(b *testing.B) {
	ta := newTally(10_000, 20_000)
	journal := &journal{directory: b.TempDir()}
	if err := journal.compact(ta); err != nil {
		b.Fatal(err)
	}
	defer journal.close()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		r := exit(fmt.Sprintf("%064x", i), web, "Completed", 0)
		ta.apply(r)
		if err := journal.append(r); err != nil {
			b.Fatal(err)
		}
		ta.apply(record{Kind: kindGone, ID: r.ID, At: int64(i)})
	}
}

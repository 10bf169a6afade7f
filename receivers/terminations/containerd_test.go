package terminations

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crowsnest-o11y/crowsnest/test/containerd"
)

// exits and kills name series of a container of pod shop/web.
func exits(container, reason string, code int) string {
	return fmt.Sprintf("%s{container=%q,exit_code=\"%d\",namespace=\"shop\",pod=\"web\",reason=%q}", exitsName, container, code, reason)
}

func kills(container string) string {
	return fmt.Sprintf("%s{container=%q,namespace=\"shop\",pod=\"web\"}", killsName, container)
}

// TestContainerd has all kinds of ends on a real containerd.
func TestContainerd(t *testing.T) {
	runtime := containerd.Test(t)
	pod, err := runtime.Pod(t.Context(), "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, attempt uint32, limit int64, args ...string) (id string) {
		t.Helper()
		id, err := pod.Run(t.Context(), name, attempt, limit, args...)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	end := func(id string) string {
		t.Helper()
		if _, err := runtime.Wait(t.Context(), id); err != nil {
			t.Fatalf("%v\n%s", err, runtime.Log())
		}
		return id
	}
	remove := func(id string) {
		t.Helper()
		if err := runtime.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	end(run("before", 0, 0, "exit", "0s", "4"))

	config := testConfig("unix://" + runtime.Socket)
	config.Directory = t.TempDir()
	receiver := startChild(t, config)
	want := map[string]float64{exits("before", "Error", 4): 1}
	check := func(what string) {
		t.Helper()
		got := waitFor(t, receiver, what, func(batch map[string]float64) bool { return cmp.Equal(removedRunning(nonzero(batch)), want) })
		if diff := cmp.Diff(want, removedRunning(nonzero(got))); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("an end of before")
	if first := receiver.batches(t)[0]; first[exits("before", "Error", 4)] != 1 {
		t.Errorf("an end of before the first start is an increase: %v", first)
	}

	end(run("job", 0, 0, "exit", "0s", "0"))
	want[exits("job", "Completed", 0)]++
	check("the stream brings an end")

	for attempt := range uint32(20) { // removed before any list could have it
		remove(end(run("quick", attempt, 0, "exit", "0s", "7")))
	}
	want[exits("quick", "Error", 7)] += 20
	check("removed at once")

	parent := run("parent", 0, 32<<20, "children", "3", "5s")
	want[kills("parent")] += 3
	check("children are killed, their parent lives on")
	end(parent)
	// containerd says so of any container in which a process was killed.
	want[exits("parent", reasonOf(t, runtime, parent), 0)]++
	check("the parent ends")

	forced := run("forced", 0, 0, "exit", "10m", "0")
	waitFor(t, receiver, "a container that runs", func(batch map[string]float64) bool { _, ok := batch[kills("forced")]; return ok })
	remove(forced) // by SIGKILL
	want[exits("forced", "Error", 137)]++
	check("removed while it runs")

	away := run("away", 0, 32<<20, "eat")
	vanished := run("vanished", 0, 0, "exit", "10m", "0")
	end(away)
	want[exits("away", reasonOOMKilled, 137)]++
	want[kills("away")]++
	check("killed by the kernel")
	if err := receiver.Kill(); err != nil {
		t.Fatal(err)
	}
	end(run("away", 1, 32<<20, "eat"))
	want[exits("away", reasonOOMKilled, 137)]++
	want[kills("away")]++
	remove(vanished)
	// containerd keeps events for 5 min if nobody is there to take them.
	want[exits("vanished", "Error", 137)]++
	if err := receiver.Restart(); err != nil {
		t.Fatal(err)
	}
	check("ends while the receiver is away")

	broken := ""
	// The kubelet removes all but the last of containers that could not start,
	// and containerd has no events of their ends.
	for attempt := range uint32(3) {
		id, err := pod.Create(t.Context(), "broken", attempt, 0, "/nonexistent")
		if err != nil {
			t.Fatal(err)
		}
		if err := runtime.Start(t.Context(), id); err == nil {
			t.Fatal("a program that does not exist was started")
		}
		if broken != "" {
			remove(broken)
		}
		broken = id
	}
	want[exits("broken", "StartError", 128)] += 3
	check("containers that cannot be started")
	checkIncreases(t, receiver.batches(t))
}

// removedRunning has one reason for the end of a container that was removed while
// it ran: containerd asks for the status that goes into the event after the
// container's end, and if the removal was quicker, nobody knows it any more. (The
// kubelet removes none that runs.)
func removedRunning(batch map[string]float64) map[string]float64 {
	for _, container := range []string{"forced", "vanished"} {
		unknown := exits(container, reasonUnknown, 137)
		if n := batch[unknown]; n > 0 {
			delete(batch, unknown)
			batch[exits(container, "Error", 137)] += n
		}
	}
	return batch
}

// reasonOf is the reason that the runtime gives.
func reasonOf(t *testing.T, runtime *containerd.Containerd, id string) string {
	t.Helper()
	s, err := runtime.Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s.GetReason()
}

// checkIncreases is checkCounters without the series that were there before.
func checkIncreases(t *testing.T, batches []map[string]float64) {
	t.Helper()
	for _, batch := range batches {
		delete(batch, exits("before", "Error", 4))
	}
	checkCounters(t, batches)
}

// TestSeriesEnd: those of a pod that is gone stay for the retention, and end
// with a mark.
func TestSeriesEnd(t *testing.T) {
	runtime := containerd.Test(t)
	pod, err := runtime.Pod(t.Context(), "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	config := testConfig("unix://" + runtime.Socket)
	config.CollectionInterval, config.Retention = 200*time.Millisecond, 3*time.Second
	config.Directory = t.TempDir()
	receiver := startChild(t, config)
	id, err := pod.Run(t.Context(), "job", 0, 0, "exit", "0s", "0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runtime.Wait(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := runtime.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	job := exits("job", "Completed", 0)
	waitFor(t, receiver, "the end of series", func(batch map[string]float64) bool { _, ok := batch["stale "+job]; return ok })
	with := 0
	for _, batch := range receiver.batches(t) {
		if batch[job] == 1 {
			with++
		}
	}
	if with < 5 {
		t.Errorf("only %d samples of a short pod's counter", with)
	}
	after := len(receiver.batches(t))
	time.Sleep(2 * config.CollectionInterval)
	for _, batch := range receiver.batches(t)[after:] {
		if strings.Contains(fmt.Sprint(batch), job) {
			t.Errorf("a series that ended has %v", batch)
		}
	}
}

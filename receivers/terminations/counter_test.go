package terminations

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

// unified is a counter with cgroup v2's files and without a runtime: machines
// of this test may have v1.
func unified(t *testing.T) (c *counter, pod string) {
	t.Helper()
	root := t.TempDir()
	pod = filepath.Join(root, "kubepods", "pod"+uid)
	write(t, "memory\n", root, "cgroup.controllers")
	write(t, "oom_kill 0\n", pod, "memory.events")
	telemetry, err := newTelemetry(componenttest.NewNopTelemetrySettings().MeterProvider)
	if err != nil {
		t.Fatal(err)
	}
	c = &counter{
		cfg: defaultConfig(), tally: newTally(100, 100), journal: &journal{},
		telemetry: telemetry, logger: zap.NewNop(), complaints: complaint.New(zap.NewNop(), complaint.Interval),
	}
	if c.kernel, err = newKernel(root); err != nil {
		t.Fatal(err)
	}
	return c, pod
}

func ofPod(id string) record {
	who := web
	who.UID = uid
	return record{Kind: kindRunning, ID: id, identity: who, At: 1}
}

// TestKillsOfGoneCgroups: the pod's count makes up for what went with the
// cgroup of a container.
func TestKillsOfGoneCgroups(t *testing.T) {
	c, pod := unified(t)
	events := func(count string, elements ...string) {
		write(t, "oom_kill "+count+"\n", append(append([]string{pod}, elements...), "memory.events")...)
	}
	kills := func() float64 { return values(c.tally)[killed] }
	events("0", idA)
	c.findCgroups()
	c.learn(ofPod(idA), "event")
	events("2", idA) // children
	events("2")
	c.readKills()
	if got := kills(); got != 2 {
		t.Fatalf("container that lives on: %v kills", got)
	}
	removeAll(t, filepath.Join(pod, idA)) // it ends, after two more
	events("4")
	c.readKills()
	if got := kills(); got != 2 {
		t.Fatalf("container of which the end is not known yet: %v kills", got)
	}
	end := ofPod(idA)
	end.Kind, end.Reason, end.ExitCode = kindExited, reasonOOMKilled, 137
	c.learn(end, "event")
	c.readKills()
	if got := kills(); got != 4 {
		t.Fatalf("container that ended: %v kills", got)
	}
	// The next start is killed so soon that its cgroup was never seen, all of
	// its three processes at once (memory.oom.group).
	end.ID = idB
	c.learn(end, "event")
	if got := kills(); got != 5 {
		t.Fatalf("container that ended at once: %v kills", got)
	}
	events("7")
	c.readKills()
	c.readKills()
	if got := kills(); got != 7 {
		t.Errorf("at the end: %v kills", got)
	}
}

// TestKillsBefore: those of before the first list are no increase.
func TestKillsBefore(t *testing.T) {
	c, pod := unified(t)
	write(t, "oom_kill 9\n", pod, "memory.events") // of former containers, too
	write(t, "oom_kill 2\n", pod, idA, "memory.events")
	c.fresh = true
	r := ofPod(idA)
	r.Old = true
	c.note(r)
	c.findCgroups()
	c.begin()
	if diff := cmp.Diff(map[string]float64{killed: 2}, flatten(c.tally.metrics("n", r.time()))); diff != "" {
		t.Errorf("first sample: %s", diff)
	}
	end := ofPod(idA)
	end.Kind, end.Reason = kindExited, "Completed"
	c.learn(end, "event")
	c.readKills()
	if got := values(c.tally)[killed]; got != 2 {
		t.Errorf("%v kills", got)
	}
}

// TestUnseenEnd waits for an event that may be under way.
func TestUnseenEnd(t *testing.T) {
	c, _ := unified(t)
	c.kernel = nil
	c.learn(ofPod(idA), "event")
	c.learn(ofPod(idB), "event")
	c.miss(map[string]bool{})
	end := ofPod(idA)
	end.Kind, end.Reason = kindExited, "Completed"
	c.learn(end, "event")
	c.miss(map[string]bool{})
	c.miss(map[string]bool{})
	c.learn(end, "event")
	unknown := `container_terminations_total{container="http",exit_code="137",namespace="shop",pod="web-0",reason="ContainerStatusUnknown"}`
	if diff := cmp.Diff(map[string]float64{completed: 1, unknown: 1, killed: 0}, values(c.tally)); diff != "" {
		t.Error(diff)
	}
}

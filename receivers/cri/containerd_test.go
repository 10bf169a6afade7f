package cri

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/crowsnest-o11y/crowsnest/test/containerd"
)

// TestContainerd scrapes a real containerd and compares with the kernel.
func TestContainerd(t *testing.T) {
	runtime := containerd.Test(t)
	pod, err := runtime.Pod(t.Context(), "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	id, err := pod.Run(t.Context(), "http", 0, 64<<20, "exit", "10m", "0")
	if err != nil {
		t.Fatal(err)
	}
	ended, err := pod.Run(t.Context(), "job", 0, 0, "exit", "0s", "0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runtime.Wait(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, runtime.Socket, nil)
	r.untilUp(t)
	lines := r.sink.last()
	labels := fmt.Sprintf(`id="%[1]s",image="crowsnest.local/guest:1",name="%[1]s",namespace="shop",pod="web"} `, id)
	for _, series := range []string{
		`container_cpu_usage_seconds_total{container="http",cpu="total",` + labels + `counter`,
		`container_cpu_user_seconds_total{container="http",` + labels + `counter`,
		`container_memory_working_set_bytes{container="http",` + labels + `gauge`,
		`container_memory_rss{container="http",` + labels + `gauge`,
		`container_spec_memory_limit_bytes{container="http",` + labels + `gauge 6.7108864e+07`,
		`container_start_time_seconds{container="http",` + labels + `gauge`,
		`container_runtime_condition{condition="RuntimeReady"} gauge 1`,
		`container_runtime_filesystem_used_bytes{mountpoint="`,
		`container_runtime_info{api_version="v1",runtime="containerd",version="v2.4.2"} gauge 1`,
	} {
		if len(find(lines, series)) != 1 {
			t.Errorf("no series %s", series)
		}
	}
	if strings.Contains(strings.Join(lines, "\n"), ended) {
		t.Error("an ended container has series")
	}
	// The guest sleeps, so its memory hardly changes.
	want := usage(t, runtime.Cgroup, id)
	got := valueIn(t, find(lines, `container_memory_usage_bytes{container="http",`))
	if math.Abs(got-want) > want/10 {
		t.Errorf("memory usage is %v, the kernel says %v", got, want)
	}
	if _, err := os.Stat("/sys/fs/cgroup/cpuacct"); err == nil {
		nanoseconds := kernelValue(t, filepath.Join("/sys/fs/cgroup/cpuacct", runtime.Cgroup), id, "cpuacct.usage")
		got := valueIn(t, find(lines, `container_cpu_usage_seconds_total{container="http",`))
		if got <= 0 || math.Abs(got-nanoseconds/1e9) > 0.05 {
			t.Errorf("CPU time is %v s, the kernel says %v ns", got, nanoseconds)
		}
	}
	if err := runtime.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.scrape(t.Context())
	for _, line := range r.sink.last() {
		if strings.Contains(line, id) && !strings.Contains(line, " stale ") {
			t.Errorf("a removed container has %s", line)
		}
	}
	if stale(r.sink.last()) < 20 {
		t.Errorf("only %d series ended", stale(r.sink.last()))
	}
}

func valueIn(t *testing.T, lines []string) float64 {
	t.Helper()
	if len(lines) != 1 {
		t.Fatalf("%d series", len(lines))
	}
	_, rest, _ := strings.Cut(lines[0], "} ")
	value, err := strconv.ParseFloat(strings.Fields(rest)[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func usage(t *testing.T, cgroup, id string) float64 {
	t.Helper()
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return kernelValue(t, filepath.Join("/sys/fs/cgroup", cgroup), id, "memory.current")
	}
	return kernelValue(t, filepath.Join("/sys/fs/cgroup/memory", cgroup), id, "memory.usage_in_bytes")
}

// kernelValue reads a number of a container's cgroup.
func kernelValue(t *testing.T, root, id, file string) float64 {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "kubepods", "*", "*", id, file))
	if err != nil || len(found) != 1 {
		t.Fatalf("cgroups of %s in %s: %v %v", id, root, found, err)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

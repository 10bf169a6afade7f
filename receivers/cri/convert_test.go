package cri

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// capture reads an answer of a real containerd, as crictl writes it.
func capture[M proto.Message](t testing.TB, name string, m M) M {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(b, m); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// captured are all answers of one moment.
func captured(t testing.TB) answers {
	t.Helper()
	a := answers{
		containers:  capture(t, "containers.json", &cri.ListContainersResponse{}).GetContainers(),
		pods:        capture(t, "podstats.json", &cri.ListPodSandboxStatsResponse{}).GetStats(),
		stats:       nil,
		descriptors: capture(t, "metricdescriptors.json", &cri.ListMetricDescriptorsResponse{}).GetDescriptors(),
		metrics:     capture(t, "podmetrics.json", &cri.ListPodSandboxMetricsResponse{}).GetPodMetrics(),
		images:      capture(t, "imagefs.json", &cri.ImageFsInfoResponse{}),
		status:      runtimeStatus(t),
		version:     capture(t, "version.json", &cri.VersionResponse{}),
	}
	a.containers = slices.DeleteFunc(a.containers, func(c *cri.Container) bool {
		return c.GetState() != cri.ContainerState_CONTAINER_RUNNING
	})
	return a
}

// runtimeStatus leaves out what crictl adds.
func runtimeStatus(t testing.TB) *cri.RuntimeStatus {
	t.Helper()
	b, err := os.ReadFile("testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	var resp cri.StatusResponse
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, &resp); err != nil {
		t.Fatal(err)
	}
	return resp.GetStatus()
}

// flatten gives a line for each sample, as on a page: name{labels} type value ms.
func flatten(metrics pmetric.MetricSlice) (lines []string) {
	for _, m := range metrics.All() {
		kind, points := "gauge", pmetric.NumberDataPointSlice{}
		if m.Type() == pmetric.MetricTypeSum {
			kind, points = "counter", m.Sum().DataPoints()
			if !m.Sum().IsMonotonic() || m.Sum().AggregationTemporality() != pmetric.AggregationTemporalityCumulative {
				kind = "not a counter"
			}
		} else {
			points = m.Gauge().DataPoints()
		}
		if declared, _ := m.Metadata().Get("prometheus.type"); declared.Str() != kind {
			kind = "inconsistent"
		}
		for _, p := range points.All() {
			var labels []string
			for key, value := range p.Attributes().All() {
				labels = append(labels, fmt.Sprintf("%s=%q", key, value.Str()))
			}
			slices.Sort(labels)
			value := fmt.Sprint(p.DoubleValue())
			if p.Flags().NoRecordedValue() {
				value = "stale"
			}
			lines = append(lines, fmt.Sprintf("%s{%s} %s %s %d", m.Name(), strings.Join(labels, ","), kind, value, p.Timestamp().AsTime().UnixMilli()))
		}
	}
	slices.Sort(lines)
	return lines
}

// convert makes one scrape's lines of the answers.
func convert(t testing.TB, a answers) []string {
	t.Helper()
	p, out := newPage(100_000), pmetric.NewMetricSlice()
	p.begin(time.UnixMilli(1795409875000), out)
	(&converter{page: p}).convert(a)
	return flatten(out)
}

// find gives the lines that begin so.
func find(lines []string, prefix string) (found []string) {
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

// TestSameFamiliesAsTheKubelet compares with the page of a kubelet that has its
// stats from the same runtime: every family of containers is there, of the
// same type, with the same labels.
func TestSameFamiliesAsTheKubelet(t *testing.T) {
	want := map[string]string{}
	f, err := os.Open("testdata/metrics-cadvisor-from-cri.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, found := strings.CutPrefix(lines.Text(), "# TYPE container_")
		if found {
			family, kind, _ := strings.Cut("container_"+name, " ")
			want[family] = kind
		}
	}
	got := map[string]string{}
	for _, line := range convert(t, captured(t)) {
		name, rest, _ := strings.Cut(line, "{")
		_, rest, _ = strings.Cut(rest, "} ")
		if _, wanted := want[name]; wanted {
			got[name] = strings.Fields(rest)[0]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("families (-kubelet +receiver):\n%s", diff)
	}
	if len(want) < 35 {
		t.Errorf("the kubelet's page has only %d families", len(want))
	}
}

func TestValues(t *testing.T) {
	lines := convert(t, captured(t))
	const coredns = `container="coredns"`
	of := func(name string) []string {
		return slices.DeleteFunc(find(lines, name+"{"), func(line string) bool { return !strings.Contains(line, coredns) })
	}
	const labels = `id="1ae12b3ddcecd30ecc0f43d9191748c9c45464b5066d5d83016e407696fccb6d",image="lab.local/coredns:1",` +
		`name="1ae12b3ddcecd30ecc0f43d9191748c9c45464b5066d5d83016e407696fccb6d",namespace="kube-system",pod="coredns-d5566f66d-lq9jt"`
	for name, want := range map[string]string{
		// Nanoseconds of the stats, not whole seconds of the metrics.
		"container_cpu_usage_seconds_total":         `{container="coredns",cpu="total",` + labels + `} counter 0.33`,
		"container_memory_working_set_bytes":        `{container="coredns",` + labels + `} gauge 1.209`,
		"container_spec_memory_limit_bytes":         `{container="coredns",` + labels + `} gauge 1.7825792e+08 `,
		"container_start_time_seconds":              `{container="coredns",` + labels + `} gauge 1.795409709e+09 `,
		"container_creation_time_seconds":           `{container="coredns",` + labels + `} gauge 1.795409709e+09 `,
		"container_cpu_cfs_throttled_periods_total": `{container="coredns",` + labels + `} counter 0 `,
		"container_memory_swap":                     `{container="coredns",` + labels + `} gauge 0 `,
		"container_fs_usage_bytes":                  `{container="coredns",device="/",` + labels + `} gauge 45056 `,
	} {
		got := of(name)
		if len(got) != 1 || !strings.HasPrefix(got[0], name+want) {
			t.Errorf("%s: got %q, want one that begins with %s", name, got, want)
		}
	}
	for _, want := range []string{
		`container_network_receive_bytes_total{id="7637c0de7c09e8c298b65d770d4af936870d02c5c5fd9e9138cd8786cc092920",interface="eth0",name="7637c0de7c09e8c298b65d770d4af936870d02c5c5fd9e9138cd8786cc092920",namespace="shop",pod="crasher-7d479c5c9f-24f7s"} counter 446 1795409874409`,
		`container_runtime_condition{condition="ContainerdHasNoDeprecationWarnings",reason="ContainerdHasDeprecationWarnings"} gauge 0 1795409875000`,
		`container_runtime_condition{condition="RuntimeReady"} gauge 1 1795409875000`,
		`container_runtime_filesystem_used_bytes{mountpoint="/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs",use="images"} gauge 8.8784896e+07 1795409867416`,
		`container_runtime_filesystem_used_inodes{mountpoint="/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs",use="images"} gauge 394 1795409867416`,
		`container_runtime_info{api_version="v1",runtime="containerd",version="v2.4.2"} gauge 1 1795409875000`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("missing %s", want)
		}
	}
	// A pod's own: no container, no image, no name.
	pod := find(lines, `container_memory_working_set_bytes{id="8bb9a19e7ea8fd57e8504b3022a564f57a7456fa794952d48e75204a6ff8895c",namespace=`)
	if len(pod) != 1 || !strings.Contains(pod[0], `namespace="shop",pod="hungry-cc77d5544-nc4nm"} gauge 1.175552e+06`) {
		t.Errorf("memory of a pod: %q", pod)
	}
	seen := map[string]bool{}
	for _, line := range lines {
		key, _, _ := strings.Cut(line, "} ")
		if seen[key] {
			t.Errorf("twice: %s", key)
		}
		seen[key] = true
	}
}

// TestStatsAlone is a runtime without metrics.
func TestStatsAlone(t *testing.T) {
	a := captured(t)
	a.metrics, a.descriptors = nil, nil
	withPods := convert(t, a)
	a.pods, a.stats = nil, capture(t, "containerstats.json", &cri.ListContainerStatsResponse{}).GetStats()
	withContainers := convert(t, a)
	for name, lines := range map[string][]string{"pods": withPods, "containers": withContainers} {
		for _, want := range []string{
			`container_cpu_usage_seconds_total{container="coredns",cpu="total",`, `container_memory_working_set_bytes{container="coredns",`,
			`container_memory_usage_bytes{container="coredns",`, `container_memory_rss{container="coredns",`,
			`container_memory_failures_total{container="coredns",failure_type="pgfault",`,
			`container_fs_usage_bytes{container="coredns",device="/var/lib/containerd/`, `container_last_seen{container="coredns",`,
		} {
			if got := find(lines, want); len(got) != 1 {
				t.Errorf("stats of %s: %d series %s", name, len(got), want)
			}
		}
	}
	if got := find(withPods, `container_network_transmit_errors_total{`); len(got) == 0 {
		t.Error("no network of pods")
	}
}

func TestPressure(t *testing.T) {
	a := answers{
		containers: []*cri.Container{{Id: "c1", Image: &cri.ImageSpec{Image: "web:1"}}},
		stats: []*cri.ContainerStats{{
			Attributes: &cri.ContainerAttributes{Id: "c1", Metadata: &cri.ContainerMetadata{Name: "web"}},
			Cpu: &cri.CpuUsage{Timestamp: 1_000_000, Psi: &cri.PsiStats{
				Some: &cri.PsiData{Total: 2_500_000_000}, Full: &cri.PsiData{Total: 1_000_000},
			}},
			Swap: &cri.SwapUsage{Timestamp: 1_000_000, SwapUsageBytes: &cri.UInt64Value{Value: 7}},
		}},
	}
	const labels = `{container="web",id="c1",image="web:1",name="c1"} `
	lines := convert(t, a)
	for _, want := range []string{
		"container_pressure_cpu_waiting_seconds_total" + labels + "counter 2.5 1",
		"container_pressure_cpu_stalled_seconds_total" + labels + "counter 0.001 1",
		"container_memory_swap" + labels + "gauge 7 1",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("missing %s in\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

// TestMismatchedMetrics: CRI says to ignore what has no descriptor; a wrong
// number of values must not name the wrong labels.
func TestMismatchedMetrics(t *testing.T) {
	metric := func(name string, values ...string) *cri.Metric {
		return &cri.Metric{Name: name, LabelValues: values, Value: &cri.UInt64Value{Value: 1}}
	}
	lines := convert(t, answers{
		descriptors: []*cri.MetricDescriptor{{Name: "container_a", LabelKeys: []string{"pod", "namespace"}}},
		metrics: []*cri.PodSandboxMetrics{{PodSandboxId: "p", Metrics: []*cri.Metric{
			metric("container_a", "web"), metric("container_b", "web", "shop"), {Name: "container_a", LabelValues: []string{"x", "y"}}, nil,
			metric("container_a", "web", "shop"),
		}}, nil},
	})
	if diff := cmp.Diff([]string{`container_a{name="p",namespace="shop",pod="web"} counter 1 1795409875000`}, lines); diff != "" {
		t.Error(diff)
	}
}

// TestSwapOfUnified leaves swap alone where it is swap.
func TestSwapOfUnified(t *testing.T) {
	container := func(memory, swap uint64) *cri.ContainerMetrics {
		return &cri.ContainerMetrics{Metrics: []*cri.Metric{
			{Name: memoryUsage, Value: &cri.UInt64Value{Value: memory}}, {Name: memorySwap, Value: &cri.UInt64Value{Value: swap}},
		}}
	}
	pods := func(containers ...*cri.ContainerMetrics) []*cri.PodSandboxMetrics {
		return []*cri.PodSandboxMetrics{{ContainerMetrics: containers}}
	}
	for _, c := range []struct {
		pods []*cri.PodSandboxMetrics
		want bool
	}{
		{pods(), false},
		{pods(container(10, 0), container(10, 30)), false},
		{pods(container(10, 10), container(10, 30)), true},
		{pods(container(0, 0)), false},
	} {
		if got := swapHasMemory(c.pods); got != c.want {
			t.Errorf("%v: got %v", c.pods, got)
		}
	}
}

func BenchmarkConvert(b *testing.B) {
	a := captured(b)
	// 110 pods of what the capture has 14 of.
	pods, metrics := a.pods, a.metrics
	for len(a.metrics) < 110 {
		for i := range metrics {
			m := proto.Clone(metrics[i]).(*cri.PodSandboxMetrics)
			for _, c := range m.GetContainerMetrics() {
				for _, sample := range c.GetMetrics() {
					sample.LabelValues[0] += fmt.Sprint(len(a.metrics))
				}
				c.ContainerId += fmt.Sprint(len(a.metrics))
			}
			a.metrics = append(a.metrics, m)
		}
	}
	_ = pods
	p := newPage(200_000)
	b.ReportAllocs()
	for b.Loop() {
		p.begin(time.UnixMilli(1795409875000), pmetric.NewMetricSlice())
		(&converter{page: p}).convert(a)
		p.sweep()
		b.ReportMetric(float64(len(p.current)), "series")
		p.commit(true, false)
	}
}

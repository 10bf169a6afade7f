//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// agreement is a series and where else its value can be read.
type agreement struct {
	selector string
	read     func(*testing.T) float64
}

// checkValues reads each value where it comes from, waits for a sample that was
// taken after that, and reads again: the sample must lie between. All of them are
// counters, or do not change.
func (in *installation) checkValues(t *testing.T) {
	all := append(in.nodeAgreements(), in.objectAgreements()...)
	all = append(all, in.kubeletAgreements()...)
	begin := time.Now()
	before := make([]float64, len(all))
	for i, a := range all {
		before[i] = a.read(t)
	}
	read := time.Now()
	for i, a := range all {
		var ours stores.Sample
		eventually(t, "sample of "+a.selector, func(ctx context.Context) error {
			fresh, err := in.prometheus.Query(ctx, fmt.Sprintf("timestamp(%s) > %f", a.selector, float64(read.UnixMilli())/1e3))
			if err != nil || len(fresh) != 1 {
				return errors.Join(err, fmt.Errorf("%d series with a sample after %s", len(fresh), read))
			}
			found, err := in.prometheus.Query(ctx, a.selector)
			if err != nil || len(found) != 1 {
				return errors.Join(err, fmt.Errorf("%d series", len(found)))
			}
			ours = found[0]
			return nil
		})
		after := a.read(t)
		// A clock's ticks and a float's digits.
		slack := 0.02 + 1e-9*math.Abs(after)
		if ours.Value < math.Min(before[i], after)-slack || ours.Value > math.Max(before[i], after)+slack {
			t.Errorf("%s is %v, its source said %v before and %v after", a.selector, ours.Value, before[i], after)
		}
	}
	n := in.checkCadvisor(t)
	t.Logf("%d series agree with their sources, %d of them with cAdvisor's of the same moment, in %s", len(all)+n, n, since(begin))
}

// nodeAgreements are with /proc and the file systems, as the node itself sees them.
func (in *installation) nodeAgreements() []agreement {
	instance := `{instance="` + in.nodes[0] + `"`
	awk := func(selector, file, program string, factor float64) agreement {
		return agreement{selector, func(t *testing.T) float64 {
			return numeral(t, in.inNode(t, 1, `awk '`+program+`' `+file)) * factor
		}}
	}
	disk := strings.TrimSpace(`vda`)
	return []agreement{
		awk("node_memory_MemTotal_bytes"+instance+"}", "/proc/meminfo", `$1=="MemTotal:"{print $2}`, 1024),
		awk("node_boot_time_seconds"+instance+"}", "/proc/stat", `$1=="btime"{print $2}`, 1),
		awk("node_context_switches_total"+instance+"}", "/proc/stat", `$1=="ctxt"{printf "%.0f\n", $2}`, 1),
		awk("node_intr_total"+instance+"}", "/proc/stat", `$1=="intr"{printf "%.0f\n", $2}`, 1),
		awk("node_cpu_seconds_total"+instance+`,cpu="0",mode="user"}`, "/proc/stat", `$1=="cpu0"{printf "%.0f\n", $2}`, 0.01),
		awk("node_network_receive_bytes_total"+instance+`,device="eth0"}`, "/proc/1/net/dev", `$1=="eth0:"{printf "%.0f\n", $2}`, 1),
		awk("node_network_transmit_packets_total"+instance+`,device="eth0"}`, "/proc/1/net/dev", `$1=="eth0:"{printf "%.0f\n", $11}`, 1),
		awk("node_netstat_Tcp_OutSegs"+instance+"}", "/proc/1/net/snmp", `$1=="Tcp:"&&$2!="RtoAlgorithm"{printf "%.0f\n", $12}`, 1),
		awk("node_vmstat_pgmajfault"+instance+"}", "/proc/vmstat", `$1=="pgmajfault"{print $2}`, 1),
		awk("node_filefd_maximum"+instance+"}", "/proc/sys/fs/file-nr", `{printf "%.0f\n", $3}`, 1),
		awk("node_disk_reads_completed_total"+instance+`,device="`+disk+`"}`, "/proc/diskstats", `$3=="`+disk+`"{print $4}`, 1),
		{"node_filesystem_size_bytes" + instance + `,mountpoint="/"}`, func(t *testing.T) float64 {
			f := strings.Fields(in.inNode(t, 1, `stat -f -c '%b %S' /`))
			return numeral(t, f[0]) * numeral(t, f[1])
		}},
	}
}

// objectAgreements are with what kubectl shows.
func (in *installation) objectAgreements() []agreement {
	object := func(selector, path string, args ...string) agreement {
		return agreement{selector, func(t *testing.T) float64 {
			return quantity(t, in.kubectl(t, append([]string{"get", "--output=jsonpath=" + path}, args...)...))
		}}
	}
	const of = `namespace="` + shop + `"`
	return []agreement{
		object("kube_deployment_spec_replicas{"+of+`,deployment="logging"}`, "{.spec.replicas}", "--namespace", shop, "deployment", "logging"),
		object("kube_deployment_status_replicas_available{"+of+`,deployment="logging"}`, "{.status.availableReplicas}", "--namespace", shop, "deployment", "logging"),
		object("kube_statefulset_metadata_generation{"+of+`,statefulset="postgres"}`, "{.metadata.generation}", "--namespace", shop, "statefulset", "postgres"),
		object("kube_pod_start_time{"+of+`,pod="bare"}`, "{.status.startTime}", "--namespace", shop, "pod", "bare"),
		object("kube_pod_container_status_restarts_total{"+of+`,pod="postgres-0"}`, "{.status.containerStatuses[0].restartCount}", "--namespace", shop, "pod", "postgres-0"),
		object("kube_pod_container_resource_limits{"+of+`,pod="postgres-0",resource="memory"}`, "{.spec.containers[0].resources.limits.memory}", "--namespace", shop, "pod", "postgres-0"),
		object("kube_job_status_failed{"+of+`,job_name="migrate-badly",reason="BackoffLimitExceeded"}`, "{.spec.completions}", "--namespace", shop, "job", "migrate-badly"),
		object("kube_namespace_created{"+of+"}", "{.metadata.creationTimestamp}", "namespace", shop),
		object("kube_node_status_allocatable{resource=\"memory\",node=\""+in.nodes[0]+`"}`, "{.status.allocatable.memory}", "node", in.nodes[0]),
		object("kube_resourcequota{"+of+`,resource="requests.cpu",type="used"}`, `{.status.used.requests\.cpu}`, "--namespace", shop, "resourcequota", "shop"),
		object("kube_persistentvolumeclaim_resource_requests_storage_bytes{"+of+"}", "{.spec.resources.requests.storage}", "--namespace", shop, "persistentvolumeclaim", "data-postgres-0"),
		object("kube_horizontalpodautoscaler_spec_max_replicas{"+of+"}", "{.spec.maxReplicas}", "--namespace", shop, "horizontalpodautoscaler", "frontend"),
	}
}

// kubeletAgreements are with lines of the kubelet's own page that have no time.
func (in *installation) kubeletAgreements() (all []agreement) {
	for _, c := range []struct{ series, path string }{
		{`machine_memory_bytes`, "/metrics/cadvisor"},
		{`machine_cpu_cores`, "/metrics/cadvisor"},
		{`kubelet_runtime_operations_total{operation_type="version"}`, "/metrics"},
		{`kubelet_pleg_relist_duration_seconds_count`, "/metrics"},
		{`kubelet_volume_stats_capacity_bytes{namespace="shop",persistentvolumeclaim="data-postgres-0"}`, "/metrics"},
		{`process_start_time_seconds`, "/metrics"},
	} {
		name, matchers, _ := strings.Cut(strings.TrimSuffix(c.series, "}"), "{")
		all = append(all, agreement{
			family{name: name, matchers: matchers, job: "kubelet", path: c.path}.selector(`node="` + in.nodes[0] + `"`),
			func(t *testing.T) float64 {
				page, err := in.sourcePage(t.Context(), "kubelet", c.path)
				if err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(page) {
					series, rest, _ := strings.Cut(line, " ")
					if n, _, _ := strings.Cut(series, "{"); n == name && strings.Contains(series, matchers) {
						return numeral(t, strings.Fields(rest)[0])
					}
				}
				t.Fatalf("the kubelet's page %s has no %s", c.path, c.series)
				return 0
			},
		})
	}
	return all
}

// checkCadvisor compares samples with the lines of cAdvisor's page that bear the
// same time.
func (in *installation) checkCadvisor(t *testing.T) int {
	families := []string{
		"container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_memory_rss", "container_memory_cache",
		"container_network_receive_bytes_total", "container_network_transmit_packets_total", "container_processes", "container_memory_usage_bytes",
	}
	open := map[string]bool{}
	for _, f := range families {
		open[f] = true
	}
	eventually(t, "sample of the same time as cAdvisor's", func(ctx context.Context) error {
		page, err := in.sourcePage(ctx, "kubelet", "/metrics/cadvisor")
		if err != nil {
			return err
		}
		for line := range strings.Lines(page) {
			name, rest, _ := strings.Cut(line, "{")
			if !open[name] || !strings.Contains(rest, `pod="postgres-0"`) || !strings.Contains(name, "network") && strings.Contains(rest, `container=""`) {
				continue
			}
			labels, values, _ := strings.Cut(rest, "} ")
			told := strings.Fields(values)
			milliseconds, err := strconv.ParseInt(told[1], 10, 64)
			if err != nil {
				return err
			}
			value, err := in.sampleAt(ctx, name+"{"+cadvisor+","+labels+"}", milliseconds)
			if err != nil {
				continue // between two scrapes cAdvisor may have looked twice
			}
			if value != numeral(t, told[0]) {
				t.Errorf("%s is %v at %d, cAdvisor says %s", name, value, milliseconds, told[0])
			}
			delete(open, name)
		}
		if len(open) > 0 {
			return fmt.Errorf("none of %v", open)
		}
		return nil
	})
	return len(families)
}

// sampleAt is the value of a series' sample with this very time.
func (in *installation) sampleAt(ctx context.Context, selector string, milliseconds int64) (float64, error) {
	at := strconv.FormatFloat(float64(milliseconds)/1e3, 'f', 3, 64)
	series, err := rawSamples(ctx, in.prometheus, selector+"[2ms] @ "+at)
	if err != nil {
		return 0, err
	}
	for _, s := range series {
		for _, p := range s.points {
			if p.at.UnixMilli() == milliseconds {
				return p.value, nil
			}
		}
	}
	return 0, errors.New("no sample of that time")
}

func numeral(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// quantity is a number as Kubernetes writes it, or a time.
func quantity(t *testing.T, text string) float64 {
	t.Helper()
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return float64(at.Unix())
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return q.AsApproximateFloat64()
}

// point is a sample.
type point struct {
	at    time.Time
	value float64
}

// run are a series' samples, or its values at the steps of a range.
type run struct {
	labels map[string]string
	points []point
}

// rawSamples asks for a range selector: the samples as they are stored, without
// stale markers.
func rawSamples(ctx context.Context, store *stores.Prometheus, selector string) ([]run, error) {
	return matrix(ctx, store, "/api/v1/query", url.Values{"query": {selector}})
}

// steps asks for an expression's value at each step: what a dashboard shows.
func steps(ctx context.Context, store *stores.Prometheus, expr string, from, to time.Time, step time.Duration) ([]run, error) {
	return matrix(ctx, store, "/api/v1/query_range", url.Values{"query": {expr}, "step": {step.String()},
		"start": {from.Format(time.RFC3339Nano)}, "end": {to.Format(time.RFC3339Nano)}})
}

func matrix(ctx context.Context, store *stores.Prometheus, path string, query url.Values) ([]run, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := store.Get(ctx, path, query, &answer); err != nil {
		return nil, err
	}
	runs := make([]run, 0, len(answer.Data.Result))
	for _, r := range answer.Data.Result {
		one := run{labels: r.Metric, points: make([]point, 0, len(r.Values))}
		for _, v := range r.Values {
			seconds, ok := v[0].(float64)
			text, isText := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if !ok || !isText || err != nil {
				return nil, fmt.Errorf("decode sample %v of %v: %w", v, r.Metric, err)
			}
			one.points = append(one.points, point{time.UnixMilli(int64(math.Round(seconds * 1e3))), value})
		}
		runs = append(runs, one)
	}
	return runs, nil
}

package kubelet

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

func TestFilter(t *testing.T) {
	for name, test := range map[string]struct {
		keep, drop []string
		goes       []string
		stays      []string
	}{
		"drop":       {nil, []string{"container_fs_*", "a_b"}, []string{"container_cpu", "a_bc", "xa_b"}, []string{"container_fs_x", "a_b", "a_b_sum", "a_b_bucket", "a_b_count"}},
		"keep":       {[]string{"up?_*"}, nil, []string{"upA_x", "up__"}, []string{"up_", "down"}},
		"both":       {[]string{"a*"}, []string{"ab"}, []string{"a", "abc"}, []string{"b", "ab"}},
		"part alone": {nil, []string{"h_bucket"}, []string{"h_sum", "h_count", "h"}, []string{"h_bucket"}},
		"all":        {nil, []string{"*"}, nil, []string{"a", "b_c"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFilter(test.keep, test.drop)
			for range 2 { // the second time from the decisions
				for _, name := range test.goes {
					if f.drops([]byte(name)) {
						t.Errorf("%s is dropped", name)
					}
				}
				for _, name := range test.stays {
					if !f.drops([]byte(name)) {
						t.Errorf("%s is kept", name)
					}
				}
			}
		})
	}
}

// TestFilteredCapture leaves out of a page what it should and nothing else,
// neither in the first scrape, which the parser reads, nor in the second.
func TestFilteredCapture(t *testing.T) {
	body := string(capture(t, "metrics-cadvisor.txt"))
	var expected []string
	dropped := 0
	for _, line := range want(t, body, false) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, `{__name__="`), `"`)
		if matches(defaultDrop, name) {
			dropped++
		} else {
			expected = append(expected, line)
		}
	}
	if dropped < 10 {
		t.Fatalf("the capture has %d series of those that go by default, which proves nothing", dropped)
	}
	p := newPage(200_000, newFilter(nil, defaultDrop))
	for range 2 {
		samples.Equal(t, flatten(scrape(t, p, body, false)), expected)
		if p.tally.filtered != dropped || p.tally.samples != dropped+len(expected) {
			t.Errorf("%d of %d samples counted as filtered, want %d of %d", p.tally.filtered, p.tally.samples, dropped, dropped+len(expected))
		}
	}
	if len(p.byLine) != len(expected) {
		t.Errorf("cache holds %d series, want %d", len(p.byLine), len(expected))
	}
}

// TestFilteredForms leaves out series in forms that only the parser reads.
func TestFilteredForms(t *testing.T) {
	p := newPage(100, newFilter(nil, []string{"gone", "gone.utf8"}))
	page := "gone 1\ngone{a=\"}\\n \\\"\"} 2\ngone  {a=\"x\"} 3\n{\"gone.utf8\",a=\"b\"} 4\nstays 6\n"
	for range 2 {
		samples.Equal(t, flatten(scrape(t, p, page, false)), []string{`{__name__="stays"} 6 1800000000000`})
	}
	samples.Equal(t, flatten(scrape(t, p, "# TYPE gone counter\ngone_total 1\n# EOF\n", true)), []string{
		`{__name__="gone_total"} 1 1800000000000`, `{__name__="stays"} stale 1800000000001`})
}

// TestManyNames bounds the decisions kept.
func TestManyNames(t *testing.T) {
	f := newFilter(nil, []string{"x*"})
	for i := range 3 * maxDecided {
		name := []byte{'x', byte('a' + i%26), byte('a' + i/26%26), byte('a' + i/676%26), byte('a' + i/17576%26)}
		if !f.drops(name) {
			t.Fatalf("%s is kept", name)
		}
	}
	if len(f.decided) > maxDecided {
		t.Errorf("%d decisions are kept", len(f.decided))
	}
}

// read are the families of a kubelet's pages that kubernetes-mixin's rules,
// alerts and dashboards read, well-known dashboards and kube-prometheus-stack's
// own too, with the labels they need beside those of the target. "absent" says
// why one is on none of the captured pages.
var read = []struct{ name, kind, labels, absent string }{
	{"container_cpu_cfs_periods_total", "counter", "container namespace pod", ""},
	{"container_cpu_cfs_throttled_periods_total", "counter", "container namespace pod", ""},
	{"container_cpu_cfs_throttled_seconds_total", "counter", "container namespace pod", ""},
	{"container_cpu_usage_seconds_total", "counter", "container image namespace pod", ""},
	{"container_fs_reads_bytes_total", "counter", "container device namespace pod", "needs a block device with accounting"},
	{"container_fs_reads_total", "counter", "device", ""},
	{"container_fs_writes_bytes_total", "counter", "container device namespace pod", "needs a block device with accounting"},
	{"container_fs_writes_total", "counter", "device", ""},
	{"container_memory_cache", "gauge", "container image namespace pod", ""},
	{"container_memory_rss", "gauge", "container image namespace pod", ""},
	{"container_memory_swap", "gauge", "container image namespace pod", ""},
	{"container_memory_usage_bytes", "gauge", "container image namespace pod", ""},
	{"container_memory_working_set_bytes", "gauge", "container image namespace pod", ""},
	{"container_network_receive_bytes_total", "counter", "interface namespace pod", ""},
	{"container_network_receive_errors_total", "counter", "interface namespace pod", ""},
	{"container_network_receive_packets_dropped_total", "counter", "interface namespace pod", ""},
	{"container_network_receive_packets_total", "counter", "interface namespace pod", ""},
	{"container_network_transmit_bytes_total", "counter", "interface namespace pod", ""},
	{"container_network_transmit_errors_total", "counter", "interface namespace pod", ""},
	{"container_network_transmit_packets_dropped_total", "counter", "interface namespace pod", ""},
	{"container_network_transmit_packets_total", "counter", "interface namespace pod", ""},
	{"container_oom_events_total", "counter", "container namespace pod", ""},
	{"container_pressure_cpu_stalled_seconds_total", "counter", "container namespace pod", ""},
	{"container_pressure_cpu_waiting_seconds_total", "counter", "container namespace pod", ""},
	{"container_pressure_io_stalled_seconds_total", "counter", "container namespace pod", ""},
	{"container_pressure_io_waiting_seconds_total", "counter", "container namespace pod", ""},
	{"container_pressure_memory_stalled_seconds_total", "counter", "container namespace pod", ""},
	{"container_pressure_memory_waiting_seconds_total", "counter", "container namespace pod", ""},
	{"machine_cpu_cores", "gauge", "", ""},
	{"machine_memory_bytes", "gauge", "", ""},
	{"kubelet_certificate_manager_client_expiration_renew_errors", "counter", "", "needs client certificates that rotate"},
	{"kubelet_certificate_manager_client_ttl_seconds", "gauge", "", "needs client certificates that rotate"},
	{"kubelet_certificate_manager_server_ttl_seconds", "gauge", "", "needs serverTLSBootstrap"},
	{"kubelet_cgroup_manager_duration_seconds", "histogram", "operation_type", ""},
	{"kubelet_evictions", "counter", "eviction_signal", "needs an eviction"},
	{"kubelet_node_config_error", "gauge", "", "is none of this version of Kubernetes"},
	{"kubelet_node_name", "gauge", "node", ""},
	{"kubelet_pleg_relist_duration_seconds", "histogram", "", ""},
	{"kubelet_pleg_relist_interval_seconds", "histogram", "", ""},
	{"kubelet_pod_start_duration_seconds", "histogram", "", ""},
	{"kubelet_pod_worker_duration_seconds", "histogram", "operation_type", ""},
	{"kubelet_running_containers", "gauge", "container_state", ""},
	{"kubelet_running_pods", "gauge", "", ""},
	{"kubelet_runtime_operations_duration_seconds", "histogram", "operation_type", ""},
	{"kubelet_runtime_operations_errors_total", "counter", "operation_type", ""},
	{"kubelet_runtime_operations_total", "counter", "operation_type", ""},
	{"kubelet_server_expiration_renew_errors", "counter", "", "needs serverTLSBootstrap"},
	{"kubelet_volume_stats_available_bytes", "gauge", "namespace persistentvolumeclaim", ""},
	{"kubelet_volume_stats_capacity_bytes", "gauge", "namespace persistentvolumeclaim", ""},
	{"kubelet_volume_stats_inodes", "gauge", "namespace persistentvolumeclaim", ""},
	{"kubelet_volume_stats_inodes_free", "gauge", "namespace persistentvolumeclaim", ""},
	{"kubelet_volume_stats_inodes_used", "gauge", "namespace persistentvolumeclaim", ""},
	{"kubelet_volume_stats_used_bytes", "gauge", "namespace persistentvolumeclaim", ""},
	{"go_goroutines", "gauge", "", ""},
	{"kubernetes_build_info", "gauge", "git_version", ""},
	{"kubernetes_healthcheck", "gauge", "name type", ""},
	{"process_cpu_seconds_total", "counter", "", ""},
	{"process_resident_memory_bytes", "gauge", "", ""},
	{"process_start_time_seconds", "gauge", "", ""},
	{"prober_probe_total", "counter", "container namespace pod probe_type result", ""},
	{"rest_client_request_duration_seconds", "histogram", "verb", ""},
	{"rest_client_requests_total", "counter", "code", ""},
	{"storage_operation_duration_seconds", "histogram", "operation_name volume_plugin", ""},
	{"storage_operation_errors_total", "counter", "operation_name volume_plugin", "is none of this version of Kubernetes"},
	{"volume_manager_total_volumes", "gauge", "state", ""},
}

// TestRead has every family that somebody reads come out of the captured pages
// with its type and labels, in spite of the defaults of keep and drop.
func TestRead(t *testing.T) {
	type family struct {
		kind   string
		labels []string
	}
	found := map[string]*family{}
	for _, file := range append([]string{"metrics-volumes.txt", "metrics-slis.txt"}, captures...) {
		p := newPage(200_000, newFilter(defaultConfig().Keep, defaultConfig().Drop))
		for _, m := range scrape(t, p, string(capture(t, file)), false).All() {
			f := found[m.Name()]
			if f == nil {
				f = &family{}
				found[m.Name()] = f
			}
			kind, _ := m.Metadata().Get(metadataType)
			f.kind = kind.Str()
		}
		for _, s := range p.byLine {
			s.id.all().Range(func(l labels.Label) {
				if f := found[s.family.metric]; !slices.Contains(f.labels, l.Name) {
					f.labels = append(f.labels, l.Name)
				}
			})
		}
	}
	for _, r := range read {
		if matches(defaultConfig().Drop, r.name) {
			t.Errorf("%s is dropped by default", r.name)
		}
		f := found[r.name]
		switch {
		case f == nil && r.absent == "":
			t.Errorf("%s is on no page", r.name)
		case f == nil:
			t.Logf("%s is on no page: %s", r.name, r.absent)
		case r.absent != "":
			t.Errorf("%s is there, though it %s", r.name, r.absent)
		case f.kind != r.kind:
			t.Errorf("%s has the type %s, want %s", r.name, f.kind, r.kind)
		default:
			for label := range strings.FieldsSeq(r.labels) {
				if !slices.Contains(f.labels, label) {
					t.Errorf("%s has no label %s among %q", r.name, label, f.labels)
				}
			}
		}
	}
}

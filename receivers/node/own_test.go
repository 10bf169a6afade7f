package node

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"

	"github.com/prometheus/client_golang/prometheus"
)

// TestOwn compares this machine's series with its own files, read before and
// after: counters and clocks in between, what is constant the same.
func TestOwn(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	before := readings(t)
	r.collect(t.Context())
	after := readings(t)
	c := out.last(t)
	if len(before) < 25 {
		t.Errorf("%d values are compared, want 25 at least", len(before))
	}
	for series, low := range before {
		high := after[series]
		got, ok := c.values[series]
		if !ok {
			t.Errorf("no series %s", series)
		} else if got < min(low, high) || got > max(low, high) {
			t.Errorf("%s is %v, want from %v to %v", series, got, low, high)
		}
	}
	if n := c.count("node_cpu_seconds_total"); n != 8*runtime.NumCPU() {
		t.Errorf("%d series of node_cpu_seconds_total, want 8 for each of %d processors", n, runtime.NumCPU())
	}
	for name, kind := range map[string]string{
		"node_cpu_seconds_total": "counter", "node_load1": "gauge", "node_netstat_Tcp_OutSegs": "unknown",
		"node_network_receive_bytes_total": "counter", "node_uname_info": "gauge", "up": "gauge",
		"backup_duration_seconds": "histogram", "backup_size_bytes": "summary", "backup_files_total": "counter",
	} {
		if c.types[name] != kind {
			t.Errorf("%s has the type %q, want %q", name, c.types[name], kind)
		}
	}
}

// readings are values of this machine read directly, by series.
func readings(t *testing.T) map[string]float64 {
	t.Helper()
	values := map[string]float64{"node_time_seconds": float64(time.Now().UnixNano()) / 1e9}
	for key, value := range fields(t, "/proc/meminfo", ":") {
		switch key {
		case "MemTotal", "SwapTotal", "HugePages_Total":
			unit := 1024.0
			if strings.HasPrefix(key, "Huge") {
				values["node_memory_"+key] = value[0]
				continue
			}
			values["node_memory_"+key+"_bytes"] = value[0] * unit
		}
	}
	stat := fields(t, "/proc/stat", " ")
	values["node_boot_time_seconds"] = stat["btime"][0]
	values["node_context_switches_total"] = stat["ctxt"][0]
	values["node_forks_total"] = stat["processes"][0]
	for i := range runtime.NumCPU() {
		for j, mode := range []string{"user", "nice", "system", "idle"} {
			values[fmt.Sprintf(`node_cpu_seconds_total{cpu="%d",mode=%q}`, i, mode)] = stat["cpu"+strconv.Itoa(i)][j] / 100
		}
	}
	vmstat := fields(t, "/proc/vmstat", " ")
	for _, key := range []string{"pgmajfault", "pgfault", "pswpin", "oom_kill"} {
		values["node_vmstat_"+key] = vmstat[key][0]
	}
	values["node_filefd_maximum"] = fields(t, "/proc/sys/fs/file-nr", "")[""][2]
	for device, counts := range fields(t, "/proc/net/dev", ":") {
		if len(counts) == 16 && !strings.HasPrefix(device, "veth") {
			for i, name := range map[int]string{0: "receive_bytes", 1: "receive_packets", 3: "receive_drop", 8: "transmit_bytes", 9: "transmit_packets", 10: "transmit_errs"} {
				values[fmt.Sprintf("node_network_%s_total{device=%q}", name, device)] = counts[i]
			}
		}
	}
	var root syscall.Statfs_t
	if err := syscall.Statfs("/", &root); err != nil {
		t.Fatal(err)
	}
	device, kind := rootMount(t)
	labels := fmt.Sprintf(`{device=%q,fstype=%q,mountpoint="/"}`, device, kind)
	values["node_filesystem_size_bytes"+labels] = float64(root.Blocks) * float64(root.Bsize)
	values["node_filesystem_files"+labels] = float64(root.Files)
	return values
}

// fields reads lines of a name and numbers.
func fields(t *testing.T, path, separator string) map[string][]float64 {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]float64{}
	for line := range strings.Lines(string(content)) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), separator)
		if !ok {
			continue
		}
		for _, text := range strings.Fields(rest) {
			if value, err := strconv.ParseFloat(text, 64); err == nil {
				found[name] = append(found[name], value)
			}
		}
	}
	return found
}

func rootMount(t *testing.T) (device, kind string) {
	t.Helper()
	content, err := os.ReadFile("/proc/1/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if f := strings.Fields(line); f[1] == "/" {
			device, kind = f[0], f[2]
		}
	}
	return device, kind
}

// TestMixins wants every family that the node mixin and kubernetes-mixin read.
// One may be absent only if the kernel has not what it tells of.
func TestMixins(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	r.collect(t.Context())
	c := out.last(t)
	absent := map[string]func() (reason string, is bool){
		"node_bonding_active":                without("no bonded interfaces", "/sys/class/net/bonding_masters"),
		"node_bonding_slaves":                without("no bonded interfaces", "/sys/class/net/bonding_masters"),
		"node_md_disks":                      without("no software RAID", "/proc/mdstat"),
		"node_md_disks_required":             without("no software RAID", "/proc/mdstat"),
		"node_nf_conntrack_entries":          without("connections are not tracked", "/proc/sys/net/netfilter/nf_conntrack_count"),
		"node_nf_conntrack_entries_limit":    without("connections are not tracked", "/proc/sys/net/netfilter/nf_conntrack_max"),
		"node_systemd_unit_state":            off(r, "systemd"),
		"node_systemd_service_restart_total": off(r, "systemd"),
	}
	for _, name := range mixins {
		why, may := absent[name]
		switch {
		case c.has(name):
		case !may:
			t.Errorf("%s is absent, and there is no reason for that", name)
		default:
			reason, is := why()
			if !is {
				t.Errorf("%s is absent, but not because there are %s", name, reason)
			}
			t.Logf("%s is absent: %s", name, reason)
		}
	}
}

// without is the reason that a file is not there, or has nothing in it.
func without(reason, path string) func() (string, bool) {
	return func() (string, bool) {
		content, err := os.ReadFile(path)
		return reason, err != nil || !strings.Contains(string(content), " : active") && strings.HasSuffix(path, "mdstat") || len(strings.TrimSpace(string(content))) == 0
	}
}

// off is the reason that node_exporter does not run a collector by default.
func off(r *nodeReceiver, name string) func() (string, bool) {
	return func() (string, bool) {
		return "collector " + name + " is off by default", !slices.Contains(r.cfg.Collectors.enabled(), name)
	}
}

// mixins are the families of node_exporter that node-mixin and kubernetes-mixin
// read on Linux, and some that well-known dashboards do.
var mixins = strings.Fields(`
node_bonding_active node_bonding_slaves node_cpu_seconds_total node_disk_io_time_seconds_total
node_disk_io_time_weighted_seconds_total node_disk_read_bytes_total node_disk_written_bytes_total
node_exporter_build_info node_filefd_allocated node_filefd_maximum node_filesystem_avail_bytes
node_filesystem_files node_filesystem_files_free node_filesystem_readonly node_filesystem_size_bytes
node_load1 node_load15 node_load5 node_md_disks node_md_disks_required node_memory_Buffers_bytes
node_memory_Cached_bytes node_memory_MemAvailable_bytes node_memory_MemFree_bytes
node_memory_MemTotal_bytes node_memory_Slab_bytes node_netstat_TcpExt_TCPSynRetrans
node_netstat_Tcp_OutSegs node_netstat_Tcp_RetransSegs node_network_receive_bytes_total
node_network_receive_drop_total node_network_receive_errs_total node_network_receive_packets_total
node_network_transmit_bytes_total node_network_transmit_drop_total node_network_transmit_errs_total
node_network_transmit_packets_total node_network_up node_nf_conntrack_entries
node_nf_conntrack_entries_limit node_systemd_service_restart_total node_systemd_unit_state
node_textfile_scrape_error node_time_seconds node_timex_maxerror_seconds node_timex_offset_seconds
node_timex_sync_status node_uname_info node_vmstat_pgmajfault
node_boot_time_seconds node_context_switches_total node_disk_io_now node_disk_reads_completed_total
node_disk_writes_completed_total node_filesystem_device_error node_intr_total
node_memory_SwapFree_bytes node_memory_SwapTotal_bytes node_netstat_Tcp_CurrEstab
node_timex_estimated_error_seconds node_scrape_collector_success node_scrape_collector_duration_seconds
up scrape_duration_seconds scrape_samples_scraped`)

// TestTextfile gives histograms and summaries their points, and marks that
// bear their bounds.
func TestTextfile(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	r.collect(t.Context())
	r.probes = slices.DeleteFunc(r.probes, func(p *probe) bool { return p.name == "textfile" })
	r.collect(t.Context())
	var bounds [2][]float64
	for i, md := range out.got {
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			if m.Name() != "backup_duration_seconds" {
				continue
			}
			p := m.Histogram().DataPoints().At(0)
			bounds[i] = p.ExplicitBounds().AsRaw()
			if p.Flags().NoRecordedValue() != (i == 1) {
				t.Errorf("collection %d: flags %v", i, p.Flags())
			}
			if i == 0 && (!slices.Equal(p.BucketCounts().AsRaw(), []uint64{2, 3, 1}) || p.Count() != 6 || p.Sum() != 40) {
				t.Errorf("histogram is %v of %d, sum %v", p.BucketCounts().AsRaw(), p.Count(), p.Sum())
			}
		}
	}
	if want := []float64{1, 10}; !slices.Equal(bounds[0], want) || !slices.Equal(bounds[1], want) {
		t.Errorf("bounds are %v, want twice %v", bounds, want)
	}
	c := flatten(out.got[0])
	c.want(t, `backup_last_success_timestamp_seconds{volume="a"}`, 1.7e9) // the empty label is none
	if !flatten(out.got[1]).stale[`backup_size_bytes_count`] {
		t.Error("summary has no marker")
	}
}

// faulty is a collector that does as it is told.
type faulty struct {
	update func(to chan<- prometheus.Metric) error
}

func (f faulty) Update(to chan<- prometheus.Metric) error { return f.update(to) }

var faultyDesc = prometheus.NewDesc("node_faulty", "Of the test.", []string{"text"}, nil)

// TestPanic has a collector panic after a first series.
func TestPanic(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	p := r.probe("faulty")
	p.collector = faulty{func(to chan<- prometheus.Metric) error {
		to <- prometheus.MustNewConstMetric(faultyDesc, prometheus.GaugeValue, 1, "a")
		panic("index out of range")
	}}
	r.probes = append(r.probes, p)
	for range 2 {
		r.collect(t.Context())
		c := out.last(t)
		c.want(t, `node_scrape_collector_success{collector="faulty"}`, 0)
		c.want(t, `node_faulty{text="a"}`, 1)
		c.want(t, "up", 1)
	}
}

// TestContradiction has collectors that give a series twice and one that is
// not UTF-8; all others go on.
func TestContradiction(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	for _, name := range []string{"first", "second"} {
		p := r.probe(name)
		p.collector = faulty{func(to chan<- prometheus.Metric) error {
			to <- prometheus.MustNewConstMetric(faultyDesc, prometheus.GaugeValue, 7, "same")
			to <- prometheus.MustNewConstMetric(faultyDesc, prometheus.GaugeValue, 8, name)
			to <- prometheus.NewInvalidMetric(faultyDesc, errors.New("label value is not UTF-8"))
			return nil
		}}
		r.probes = append(r.probes, p)
	}
	r.collect(t.Context())
	c := out.last(t)
	c.want(t, `node_faulty{text="same"}`, 7)
	c.want(t, `node_faulty{text="first"}`, 8)
	c.want(t, `node_faulty{text="second"}`, 8)
	if !c.has("node_load1") {
		t.Error("other series are missing")
	}
}

// TestLimit drops what is over max_series.
func TestLimit(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	r.book.maxSeries = 10
	r.collect(t.Context())
	if n := len(out.last(t).values); n != 10 {
		t.Errorf("%d series were sent, want 10", n)
	}
	if n := r.book.tally.overLimit; n < 100 {
		t.Errorf("%d series were dropped, want many", n)
	}
}

// TestRefused repeats the markers of a collection that was not taken.
func TestRefused(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	r.collect(t.Context())
	r.probes = slices.DeleteFunc(r.probes, func(p *probe) bool { return p.name == "loadavg" })
	out.err = errors.New("queue is full")
	r.collect(t.Context())
	out.err = nil
	r.collect(t.Context())
	if !out.last(t).stale["node_load1"] {
		t.Error("marker was not repeated")
	}
	r.collect(t.Context())
	if out.last(t).stale["node_load1"] {
		t.Error("marker was repeated though taken")
	}
	out.err = consumererror.NewPermanent(errors.New("no"))
	r.collect(t.Context())
}

// TestSecond refuses a receiver that is configured otherwise in one process.
func TestSecond(t *testing.T) {
	own(t, &sink{}) // so there is a first
	r := own(t, &sink{})
	if err := configure(r.cfg.arguments("/elsewhere", false)); err == nil || !strings.Contains(err.Error(), "once only") {
		t.Errorf("error is %v", err)
	}
}

// TestNaN keeps a value that is not a number, which is no marker.
func TestNaN(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	p := r.probe("faulty")
	p.collector = faulty{func(to chan<- prometheus.Metric) error {
		to <- prometheus.MustNewConstMetric(faultyDesc, prometheus.UntypedValue, math.NaN(), "nan")
		return nil
	}}
	r.probes = []*probe{p}
	r.collect(t.Context())
	c := out.last(t)
	if v, ok := c.values[`node_faulty{text="nan"}`]; !ok || !math.IsNaN(v) {
		t.Errorf("value is %v, %v", v, ok)
	}
	if c.types["node_faulty"] != "unknown" {
		t.Errorf("type is %q", c.types["node_faulty"])
	}
}

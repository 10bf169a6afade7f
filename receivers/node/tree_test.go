package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tree is a copy of the host in testdata/root, and the configuration to see it.
func tree(t *testing.T) (root string, cfg *Config) {
	t.Helper()
	root = t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/root")); err != nil {
		t.Fatal(err)
	}
	cfg = defaultConfig()
	cfg.Node = "node-7"
	cfg.RootPath = root
	cfg.Directory = t.TempDir()
	cfg.CollectionInterval = time.Second
	return root, cfg
}

// TestTree reads another host's files: its root, and its network, which is not
// that of the process.
func TestTree(t *testing.T) {
	_, cfg := tree(t)
	r := startRemote(t, cfg, nil)
	c := r.next(t)
	for series, value := range map[string]float64{
		`node_memory_MemTotal_bytes`:                                                  4012148 * 1024,
		`node_memory_MemAvailable_bytes`:                                              2812148 * 1024,
		`node_load1`:                                                                  1.25,
		`node_load15`:                                                                 0.75,
		`node_cpu_seconds_total{cpu="0",mode="idle"}`:                                 25,
		`node_cpu_seconds_total{cpu="1",mode="user"}`:                                 2,
		`node_boot_time_seconds`:                                                      1700000000,
		`node_context_switches_total`:                                                 54321,
		`node_vmstat_pgmajfault`:                                                      60,
		`node_vmstat_oom_kill`:                                                        7,
		`node_filefd_allocated`:                                                       1024,
		`node_filefd_maximum`:                                                         1631329,
		`node_disk_read_bytes_total{device="sda"}`:                                    20000 * 512,
		`node_disk_io_time_seconds_total{device="sda"}`:                               8,
		`node_pressure_memory_waiting_seconds_total`:                                  14,
		`node_md_disks_required{device="md0"}`:                                        2,
		`node_md_disks{device="md0",state="active"}`:                                  1,
		`node_md_disks{device="md0",state="failed"}`:                                  1,
		`node_bonding_slaves{master="bond0"}`:                                         2,
		`node_bonding_active{master="bond0"}`:                                         1,
		`node_network_up{device="eth0"}`:                                              1,
		`node_network_speed_bytes{device="eth0"}`:                                     1.25e9,
		`node_network_receive_bytes_total{device="eth0"}`:                             1000,
		`node_network_transmit_drop_total{device="eth0"}`:                             4,
		`node_network_receive_bytes_total{device="lo"}`:                               500,
		`node_netstat_Tcp_OutSegs`:                                                    7000,
		`node_netstat_TcpExt_TCPSynRetrans`:                                           33,
		`node_sockstat_sockets_used`:                                                  288,
		`node_softnet_processed_total{cpu="0"}`:                                       100,
		`node_arp_entries{device="eth0"}`:                                             2,
		`node_nf_conntrack_entries`:                                                   33, // not the 2 of sys/net
		`node_nf_conntrack_entries_limit`:                                             262144,
		`node_scrape_collector_success{collector="netdev"}`:                           1,
		`node_filesystem_readonly{device="/dev/sda1",fstype="ext4",mountpoint="/"}`:   0,
		`node_filesystem_readonly{device="/dev/sdb1",fstype="xfs",mountpoint="/etc"}`: 1,
		`up`: 1,
	} {
		c.want(t, series, value)
	}
	for series := range c.values {
		for _, unwanted := range []string{`"pod0"`, "veth", "0a1b2c3d4e5f607", "/var/lib/kubelet/pods", "/run/k3s", cfg.RootPath} {
			if strings.Contains(series, unwanted) {
				t.Errorf("there is %s", series)
			}
		}
		if strings.HasPrefix(series, "node_uname_info") && !strings.Contains(series, `nodename="worker-7.example.com"`) {
			t.Errorf("%s has not the host's name", series)
		}
		if strings.HasPrefix(series, "node_os_info") && !strings.Contains(series, `pretty_name="Example OS 12.5"`) {
			t.Errorf("%s is not the host's", series)
		}
	}
	want := map[string]any{"service.name": "node-exporter", "service.instance.id": "node-7", "url.path": "/metrics", "k8s.node.name": "node-7"}
	for key, value := range want {
		if c.resource[key] != value {
			t.Errorf("resource has %s %v, want %v", key, c.resource[key], value)
		}
	}
}

// TestTreeSameNetwork reads proc/net itself where process 1 has no other.
func TestTreeSameNetwork(t *testing.T) {
	root, cfg := tree(t)
	if err := os.RemoveAll(filepath.Join(root, "proc/1/net")); err != nil {
		t.Fatal(err)
	}
	cfg.Collectors.Arguments = []string{"--no-collector.netdev.netlink"}
	c := startRemote(t, cfg, nil).next(t)
	c.want(t, `node_network_receive_bytes_total{device="pod0"}`, 11)
	if entries, err := os.ReadDir(cfg.Directory); err != nil || len(entries) > 0 {
		t.Errorf("links were made for nothing: %v %v", entries, err)
	}
}

// TestFaults has one collector hang and one read a folder for a file: their
// series go stale, all others go on, and theirs come again.
func TestFaults(t *testing.T) {
	root, cfg := tree(t)
	cfg.CollectionInterval = 2 * time.Second
	cfg.Timeout = time.Second
	r := startRemote(t, cfg, nil)
	r.next(t).want(t, "node_load1", 1.25)

	loadavg, vmstat := filepath.Join(root, "proc/loadavg"), filepath.Join(root, "proc/vmstat")
	replace(t, loadavg, func() error { return syscall.Mkfifo(loadavg, 0o600) }) // to open it waits for a writer
	replace(t, vmstat, func() error { return os.Mkdir(vmstat, 0o700) })

	c := r.await(t, "the hanging collector", func(c *collected) bool { return c.stale["node_load1"] })
	c.want(t, `node_scrape_collector_success{collector="loadavg"}`, 0)
	c.want(t, `node_memory_MemTotal_bytes`, 4012148*1024)
	c.want(t, "up", 1)
	if took := c.values[`node_scrape_collector_duration_seconds{collector="loadavg"}`]; took < 0.5 {
		t.Errorf("duration of the hanging collector is %v", took)
	}
	c = r.await(t, "the unreadable file", func(c *collected) bool {
		return c.values[`node_scrape_collector_success{collector="vmstat"}`] == 0 && !c.has("node_vmstat_pgmajfault")
	})
	if c.stale["node_load1"] {
		t.Error("a marker came twice")
	}
	c.want(t, "node_memory_MemTotal_bytes", 4012148*1024)

	// The hanging one ends with an empty file, and the next reads a good one.
	if err := os.Rename(loadavg, loadavg+".fifo"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, loadavg, "2.5 1 1 1/1 1\n")
	fifo, err := os.OpenFile(loadavg+".fifo", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fifo.Close()
	replace(t, vmstat, func() error { return os.WriteFile(vmstat, []byte("pgmajfault 61\n"), 0o600) })
	c = r.await(t, "recovery", func(c *collected) bool { return c.has("node_load1") && c.has("node_vmstat_pgmajfault") })
	c.want(t, "node_load1", 2.5)
	c.want(t, "node_vmstat_pgmajfault", 61)
	for _, says := range []string{"Collector hangs", "loadavg", "vmstat"} {
		r.says(t, says)
	}
	if n := strings.Count(r.log.String(), "Collector hangs"); n != 1 {
		t.Errorf("log says %d times that the collector hangs", n)
	}
}

// TestLateProc starts before proc is there.
func TestLateProc(t *testing.T) {
	root, cfg := tree(t)
	proc := filepath.Join(root, "proc")
	if err := os.Rename(proc, proc+".away"); err != nil {
		t.Fatal(err)
	}
	r := startRemote(t, cfg, nil)
	c := r.next(t)
	c.want(t, `node_scrape_collector_success{collector="meminfo"}`, 0)
	c.want(t, `node_scrape_collector_success{collector="time"}`, 1)
	if err := os.Rename(proc+".away", proc); err != nil {
		t.Fatal(err)
	}
	r.await(t, "memory", func(c *collected) bool { return c.has("node_memory_MemTotal_bytes") })
}

// TestNoDirectory has no place for links: no series of another network
// may pass for the host's.
func TestNoDirectory(t *testing.T) {
	_, cfg := tree(t)
	blocked := filepath.Join(cfg.Directory, "proc")
	writeFile(t, blocked, "a file where the folder should be")
	r := startRemote(t, cfg, nil)
	c := r.next(t)
	if c.has("node_network_receive_bytes_total") || c.has("node_memory_MemTotal_bytes") {
		t.Error("there are series from proc")
	}
	c.want(t, "node_network_up{device=\"eth0\"}", 1) // of sysfs
	r.says(t, "make folder for links to the host's proc")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	r.await(t, "the host's network", func(c *collected) bool {
		return c.values[`node_network_receive_bytes_total{device="eth0"}`] == 1000
	})
}

// TestOtherNetwork runs in a network namespace of its own, as a pod does, and
// shows the devices of process 1.
func TestOtherNetwork(t *testing.T) {
	cfg := defaultConfig()
	cfg.Node = "node-1"
	cfg.CollectionInterval = time.Second
	cfg.Directory = t.TempDir()
	c := startRemote(t, cfg, &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}).next(t)
	got := labelValues(c, "node_network_receive_bytes_total", "device")
	want := devices(t, "/proc/1/net/dev")
	if !slices.Equal(got, want) {
		t.Errorf("devices are %q, want those of process 1, %q", got, want)
	}
	if len(want) < 2 {
		t.Fatalf("process 1 has the devices %q only, which proves nothing", want)
	}
}

// labelValues are the values that a label has among the series of a name, sorted.
func labelValues(c *collected, name, label string) (values []string) {
	for series := range c.values {
		if rest, ok := strings.CutPrefix(series, name+"{"); ok {
			_, value, _ := strings.Cut(rest, label+`="`)
			value, _, _ = strings.Cut(value, `"`)
			values = append(values, value)
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// devices are the network devices in a file of the form of proc/net/dev but
// those of pods, sorted.
func devices(t *testing.T, path string) (names []string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && !strings.HasPrefix(name, "veth") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func replace(t *testing.T, path string, with func() error) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := with(); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/procfs"
)

// proc/net is a link to self/net: it shows the network namespace of whoever
// reads, even in a mount of the host's proc. The host's is at proc/1/net. A
// collector cannot be told so; it gets a folder of links that stands for the
// host's proc but has the host's net.
type hostProc struct {
	directory string
	proc      string
}

// foreignNetwork says whether process 1 of a proc has another network
// namespace than this process. The files of a network namespace in proc have
// inodes of their own, which anyone may see, whereas ns/net takes rights over
// process 1 (CAP_SYS_PTRACE) that an agent has not.
func foreignNetwork(proc string) bool {
	host, err := os.Stat(filepath.Join(proc, "1/net/dev"))
	if err != nil {
		return false // hidden (hidepid) or no proc at all; nothing better is to be had
	}
	own, err := os.Stat("/proc/self/net/dev")
	return err != nil || inode(host) != inode(own)
}

func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

// late are files of proc that a kernel module brings along, perhaps later.
var late = []string{"drbd", "fs", "mdstat", "net", "pressure", "spl", "self", "1"}

// link makes the links that are not there yet.
func (h hostProc) link() error {
	if err := os.MkdirAll(h.directory, 0o700); err != nil {
		return fmt.Errorf("make folder for links to the host's proc: %w", err)
	}
	entries, err := os.ReadDir(h.proc)
	if err != nil {
		return fmt.Errorf("list the host's proc: %w", err)
	}
	names := slices.Clone(late)
	for _, entry := range entries {
		if strings.Trim(entry.Name(), "0123456789") != "" {
			names = append(names, entry.Name())
		}
	}
	for _, name := range names {
		if err := h.linkOne(name); err != nil {
			return fmt.Errorf("link to the host's proc: %w", err)
		}
	}
	return nil
}

func (h hostProc) linkOne(name string) error {
	target := filepath.Join(h.proc, name)
	if name == "net" {
		target = filepath.Join(h.proc, "1/net")
	}
	path := filepath.Join(h.directory, name)
	if is, err := os.Readlink(path); err == nil && is == target {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(target, path)
}

// correct sets what node_exporter cannot see from here.
func (h hostProc) correct(families []*dto.MetricFamily, root, node string) {
	for _, family := range families {
		switch family.GetName() {
		case "node_nf_conntrack_entries":
			h.correctConntrack(family.Metric[0].Gauge)
		case "node_uname_info":
			correctNodeName(family.Metric[0].Label, hostName(root, node))
		}
	}
}

// correctConntrack sets the number of tracked connections: the file that
// node_exporter reads it from, below sys/net, tells of the reader's namespace
// always, whereas net/stat tells of the host's. The limit is one for all.
func (h hostProc) correctConntrack(entries *dto.Gauge) {
	proc, err := procfs.NewFS(h.directory)
	if err != nil {
		return
	}
	if stats, err := proc.ConntrackStat(); err == nil && len(stats) > 0 {
		// Each processor's line has the number of all.
		*entries.Value = float64(stats[0].Entries)
	}
}

// correctNodeName sets the host's name: a pod with a network of its own has a
// name of its own, too, which uname gives.
func correctNodeName(labels []*dto.LabelPair, name string) {
	for _, label := range labels {
		if label.GetName() == "nodename" {
			label.Value = &name
		}
	}
}

// hostName is the host's name as its root file system tells, or other if it does not.
func hostName(root, other string) string {
	const most = 256 // HOST_NAME_MAX is 64
	content, err := os.ReadFile(filepath.Join(root, "etc/hostname"))
	name := strings.TrimSpace(string(content))
	if err != nil || name == "" || len(name) > most || strings.ContainsAny(name, " \t\n#") {
		return other
	}
	return name
}

package terminations

import (
	"bytes"
	"strconv"
	"strings"
)

// oomKills reads how many processes of a cgroup the kernel's OOM killer killed,
// from memory.events (cgroup v2, with all cgroups below) or memory.oom_control
// (v1, without): lines of a name and a number, of which oom_kill is one. Kernels
// before 4.13 have none.
func oomKills(file []byte) (kills uint64, ok bool) {
	for line := range bytes.Lines(file) {
		value, found := bytes.CutPrefix(line, []byte("oom_kill "))
		if !found {
			continue
		}
		kills, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
		return kills, err == nil
	}
	return 0, false
}

// containerOfCgroup is the id in the name of a container's cgroup: "<id>", or
// with systemd "cri-containerd-<id>.scope", "crio-<id>.scope".
func containerOfCgroup(name string) (id string, ok bool) {
	name = strings.TrimSuffix(name, ".scope")
	name = name[strings.LastIndexByte(name, '-')+1:]
	if len(name) != 64 || strings.Trim(name, "0123456789abcdef") != "" {
		return "", false
	}
	return name, true
}

// podOfCgroup is the pod's UID in the name of its cgroup: "pod<uid>", or with
// systemd "kubepods-burstable-pod<uid>.slice" with _ for -.
func podOfCgroup(name string) (uid string, ok bool) {
	name, slice := strings.CutSuffix(name, ".slice")
	if slice {
		name = strings.ReplaceAll(name[strings.LastIndexByte(name, '-')+1:], "_", "-")
	}
	return strings.CutPrefix(name, "pod")
}

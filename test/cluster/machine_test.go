package cluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine is what a cluster must leave as it was. Clusters of other numbers may
// come and go meanwhile, and are left out.
type machine struct {
	links, routes, mounts, cgroups, namespaces, processes []string
}

// machineNow looks at the machine; name is that of the cluster to look for.
func machineNow(t *testing.T, name string) machine {
	t.Helper()
	return machine{
		links:      linesOf(t, name, "ip", "-o", "link", "show"),
		routes:     linesOf(t, name, "ip", "route", "show", "table", "all"),
		mounts:     linesOf(t, name, "cat", "/proc/self/mountinfo"),
		cgroups:    linesOf(t, name, "sh", "-c", "ls -d /sys/fs/cgroup/*/*/"),
		namespaces: namespaces(t, name),
		processes:  processes(t, name),
	}
}

// linesOf are the lines of a command's output, without those of other clusters
// and without what the kernel counts in them.
func linesOf(t *testing.T, name, command string, args ...string) []string {
	t.Helper()
	out, err := exec.Command(command, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "crowsnest") && !strings.Contains(line, name) {
			continue
		}
		if command == "ip" && args[0] == "-o" {
			line = strings.Fields(line)[1] // its name: flags and queue lengths change by themselves
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	slices.Sort(lines)
	return lines
}

// namespaces are all that a process has, or that is mounted, outside of other
// clusters.
func namespaces(t *testing.T, name string) []string {
	t.Helper()
	var all []string
	for _, process := range processDirs(t, name) {
		links, _ := filepath.Glob(process + "/ns/*")
		for _, link := range links {
			if namespace, err := os.Readlink(link); err == nil {
				all = append(all, namespace)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// processes are those whose command line or cgroup has the cluster's name.
func processes(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	for _, dir := range processDirs(t, name) {
		for _, file := range []string{"cmdline", "cgroup"} {
			b, _ := os.ReadFile(filepath.Join(dir, file)) // it may have ended
			if strings.Contains(string(b), name) {
				found = append(found, dir)
			}
		}
	}
	return slices.Compact(found)
}

func processDirs(t *testing.T, name string) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(dirs, func(dir string) bool {
		b, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		return strings.Contains(string(b), "crowsnest") && !strings.Contains(string(b), name)
	})
}

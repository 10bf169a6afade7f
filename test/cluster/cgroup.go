package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// hierarchies are the mount points of the cgroup v1 hierarchies.
func hierarchies() ([]string, error) {
	f, err := os.Open("/proc/mounts")
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	defer f.Close()
	var points []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 2 && fields[2] == "cgroup" {
			points = append(points, fields[1])
		}
	}
	for _, controller := range []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids"} {
		if _, err := os.Stat(filepath.Join("/sys/fs/cgroup", controller)); err != nil {
			return nil, fmt.Errorf("this machine has no cgroup v1 hierarchy of %s, and nodes on cgroup v2 alone are not"+
				" carried yet: install kind and a Docker engine, which are then used instead", controller)
		}
	}
	return points, nil
}

// makeCgroup makes a node's cgroup in each hierarchy.
func makeCgroup(name string) error {
	points, err := hierarchies()
	if err != nil {
		return err
	}
	for _, point := range points {
		dir := filepath.Join(point, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
		// A cpuset takes processes only once it has CPUs and memory nodes.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(point, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), value, 0)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "cgroup.clone_children"), []byte("1"), 0)
			}
			if err != nil {
				return fmt.Errorf("give cgroup its %s: %w", file, err)
			}
		}
	}
	return nil
}

// cgroups are those of a cluster's nodes, in each hierarchy, by a name that
// begins so: the node's own folders, not what is below.
func cgroups(prefix string) ([]string, error) {
	return filepath.Glob("/sys/fs/cgroup/*/" + prefix + "*")
}

// processesBelow are the pids, as this machine sees them, in a cgroup's folder
// and in those below it.
func processesBelow(dir string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // just removed
		}
		if err != nil || !d.IsDir() {
			return err
		}
		here, err := processesIn(path)
		pids = append(pids, here...)
		return err
	})
	return pids, err
}

func processesIn(dir string) ([]int, error) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil, nil // just removed
	}
	if err != nil {
		return nil, fmt.Errorf("list processes of cgroup: %w", err)
	}
	var pids []int
	for _, field := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("list processes of cgroup %s: %w", dir, err)
		}
		if pid != 0 { // of a pid namespace that we do not see into
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// removeCgroup removes a folder of cgroups, lowest first.
func removeCgroup(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list cgroups: %w", err)
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		// rmdir: the files of a cgroup cannot be removed, and go with it.
		if err := syscall.Rmdir(dirs[i]); err != nil && !errors.Is(err, syscall.ENOENT) {
			return fmt.Errorf("remove cgroup %s: %w", dirs[i], err)
		}
	}
	return nil
}

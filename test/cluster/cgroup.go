package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// pathOfCgroups is where every supported machine and every node has them.
const pathOfCgroups = "/sys/fs/cgroup"

// initScope has a node's pid 1 on cgroup v2, where a cgroup with others below it
// has no processes of its own.
const initScope = "init.scope"

// hierarchies are the mount points of the cgroup hierarchies: several of v1, or
// the one of v2.
func hierarchies() ([]string, error) {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	var points []string
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if fields[2] == "cgroup" {
			points = append(points, fields[1])
		}
		if fields[2] == "cgroup2" && fields[1] == pathOfCgroups {
			return []string{pathOfCgroups}, nil
		}
	}
	for _, controller := range []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids"} {
		if _, err := os.Stat(filepath.Join(pathOfCgroups, controller)); err != nil {
			return nil, fmt.Errorf("this machine has neither cgroup v2 at %s nor a v1 hierarchy of %s:"+
				" install kind and a Docker engine, which are then used instead", pathOfCgroups, controller)
		}
	}
	return points, nil
}

// unified tells whether that is cgroup v2.
func unified(points []string) bool { return len(points) == 1 && points[0] == pathOfCgroups }

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
		if unified(points) {
			return enableControllers(point)
		}
		if err := copyCpuset(point, dir); err != nil {
			return fmt.Errorf("give cgroup CPUs and memory nodes: %w", err)
		}
	}
	return nil
}

// copyCpuset: one of v1 takes processes only once it has CPUs and memory nodes.
func copyCpuset(from, to string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(from, file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another hierarchy
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, file), value, 0); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(to, "cgroup.clone_children"), []byte("1"), 0)
}

// delegate lets a booted node have controllers below its own cgroup, on v2.
func delegate(name string) error {
	points, err := hierarchies()
	if err != nil || !unified(points) {
		return err
	}
	dir := filepath.Join(pathOfCgroups, name)
	for _, child := range []string{initScope, "system.slice"} {
		if err := os.MkdirAll(filepath.Join(dir, child), 0o755); err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
	}
	pids, err := processesIn(dir)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		err := os.WriteFile(filepath.Join(dir, initScope, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("move pid 1 into its cgroup: %w", err)
		}
	}
	return errors.Join(enableControllers(dir), enableControllers(filepath.Join(dir, "system.slice")))
}

// enableControllers gives the cgroups below one of v2 the controllers that it
// has, those that kubelet wants.
func enableControllers(dir string) error {
	for _, controller := range []string{"cpuset", "cpu", "io", "memory", "hugetlb", "pids"} {
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
		if err != nil && controller != "hugetlb" && controller != "io" {
			return fmt.Errorf("enable controller %s: %w", controller, err)
		}
	}
	return nil
}

// cgroups are those of a cluster's nodes, in each hierarchy, by what their names
// begin with: the nodes' own, not what is below.
func cgroups(prefix string) ([]string, error) {
	v1, err := filepath.Glob(filepath.Join(pathOfCgroups, "*", prefix+"*"))
	if err != nil {
		return nil, err
	}
	v2, err := filepath.Glob(filepath.Join(pathOfCgroups, prefix+"*"))
	return append(v1, v2...), err
}

// processesOf are the processes of a cgroup that has the same in each hierarchy.
func processesOf(cgroup string) ([]int, error) {
	v1, err1 := processesIn(filepath.Join(pathOfCgroups, "pids", cgroup))
	v2, err2 := processesIn(filepath.Join(pathOfCgroups, cgroup))
	return append(v1, v2...), errors.Join(err1, err2)
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

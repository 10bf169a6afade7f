package terminations

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// maxCgroupDepth and maxCgroups bound the walk through cgroups: a container
	// can make as many below its own as it is allowed to.
	maxCgroupDepth = 8
	maxCgroups     = 20_000
	// maxEventsBytes is above what memory.events and memory.oom_control have.
	maxEventsBytes = 4096
)

// kernel reads OOM kills from the cgroups of containers and pods.
type kernel struct {
	root         string // of the memory hierarchy
	file         string // memory.events or memory.oom_control
	hierarchical bool   // a pod's count has those of its containers, gone ones too

	containers map[string]string // path of the cgroup's file by container id
	pods       map[string]string // by pod UID
}

// newKernel looks at what there is at the mount point of cgroups.
func newKernel(mount string) (*kernel, error) {
	if mount == "" {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err == nil {
		return &kernel{root: mount, file: "memory.events", hierarchical: true}, nil
	}
	root, err := filepath.EvalSymlinks(filepath.Join(mount, "memory"))
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %s has neither cgroup.controllers (v2) nor memory (v1): %w", mount, err)
	}
	return &kernel{root: root, file: "memory.oom_control"}, nil
}

// find walks through the cgroups and remembers those of containers and pods.
func (k *kernel) find() error {
	k.containers, k.pods = map[string]string{}, map[string]string{}
	left := maxCgroups
	return k.walk(k.root, maxCgroupDepth, &left)
}

func (k *kernel) walk(dir string, depth int, left *int) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it ended meanwhile
	}
	if err != nil {
		return fmt.Errorf("list cgroups: %w", err)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		if *left--; *left < 0 {
			return fmt.Errorf("list cgroups: there are more than %d", maxCgroups)
		}
		path := filepath.Join(dir, entry.Name())
		if id, ok := containerOfCgroup(entry.Name()); ok {
			k.containers[id] = filepath.Join(path, k.file)
			continue // what is below is the container's own business
		}
		if uid, ok := podOfCgroup(entry.Name()); ok {
			k.pods[uid] = filepath.Join(path, k.file)
		}
		if depth > 1 {
			if err := k.walk(path, depth-1, left); err != nil {
				return err
			}
		}
	}
	return nil
}

// locate looks for the cgroup of one container below that of its pod, or all.
func (k *kernel) locate(id, uid string) {
	if k.containers[id] != "" {
		return
	}
	pod := k.pods[uid]
	if pod == "" {
		return // find will see it
	}
	left := maxCgroups
	_ = k.walk(filepath.Dir(pod), 1, &left) // likewise
}

// kills is the count of a container; ok is false if its cgroup is not known or
// gone.
func (k *kernel) kills(id string) (kills uint64, ok bool) {
	return k.read(k.containers, id)
}

// killsOfPod is that of all containers that the pod ever had; on cgroup v2 only.
func (k *kernel) killsOfPod(uid string) (kills uint64, ok bool) {
	if !k.hierarchical {
		return 0, false
	}
	return k.read(k.pods, uid)
}

func (k *kernel) read(paths map[string]string, key string) (uint64, bool) {
	path, known := paths[key]
	if !known {
		return 0, false
	}
	f, err := os.Open(path)
	if err != nil {
		delete(paths, key)
		return 0, false
	}
	defer f.Close()
	var buffer [maxEventsBytes]byte
	n, err := io.ReadFull(f, buffer[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		delete(paths, key)
		return 0, false // ENODEV: it was removed just now
	}
	return oomKills(buffer[:n])
}

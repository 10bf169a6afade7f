package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// down ends what carries the cluster's name, more nodes than the options have
// among it.
func (m *native) down(ctx context.Context) error {
	found, err := cgroups(m.o.name() + "-")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, dir := range found {
		name := filepath.Base(dir)
		if seen[name] {
			continue
		}
		seen[name] = true
		n := node{name: strings.TrimPrefix(name, m.o.name()+"-"), cgroup: name}
		if err := n.halt(ctx); err != nil {
			return err
		}
	}
	if err := m.net.disconnect(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(m.state); err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}

func (m *native) remains(ctx context.Context) ([]string, error) {
	left, err := cgroups(m.o.name() + "-")
	if err != nil {
		return nil, err
	}
	for _, dir := range left {
		pids, err := processesBelow(dir)
		if err != nil {
			return nil, err
		}
		for _, pid := range pids {
			left = append(left, fmt.Sprintf("process %d", pid))
		}
	}
	links, err := m.net.links(ctx)
	if err != nil {
		return nil, err
	}
	left = append(left, links...)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, m.state+"/") {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	if _, err := os.Stat(m.state); err == nil {
		left = append(left, m.state)
	}
	return left, nil
}

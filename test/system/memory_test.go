package system

import (
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
)

const (
	// maxAgentBytes is what the agent may take on a full node.
	maxAgentBytes = 90 << 20
	// maxFileBytes is what of its file is left of that when the pages of the start
	// are gone. They stay on a file system without a disk, and on a disk that did
	// not take a program within seconds of its being built.
	maxFileBytes = 30 << 20
)

// A full node at a modest rate, so that a busy machine keeps up: what the
// agent takes hardly depends on it, but on its file, caches and buffers.
func TestAgentKeepsToItsMemory(t *testing.T) {
	s := startSystem(t, Options{MetricsInterval: 5 * time.Second, LokiUnlimited: true,
		AgentConfigs: []string{"embedded:agent/node", "embedded:agent/applications"},
		AgentEnv:     []string{"CROWSNEST_MONITORS=false"},
		Node:         nodesim.Config{Pods: 110, LinesPerSecond: 2000, TracesPerSecond: 5, Seed: 9}})
	eventually(t, func() bool {
		found, _, err := s.FoundLines(t.Context())
		return err == nil && found > 40_000
	})
	series := 0.0
	eventuallyOr(t, func() bool {
		all, err := s.Prometheus.Query(t.Context(), `count({job="kubelet"})`)
		if err == nil && len(all) == 1 {
			series = all[0].Value
		}
		return series > 10_000
	}, func() string { return "the kubelet's pages are not there" })
	m, err := s.Agent.Memory()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB at most; now %d: its own %d, its file's %d; %.0f series", m.Peak>>20, m.Resident>>20, m.Anonymous>>20, m.File>>20, series)
	if m.Peak > maxAgentBytes && m.File <= maxFileBytes {
		t.Errorf("the agent took %d MiB; it may take %d", m.Peak>>20, maxAgentBytes>>20)
	}
	if own := m.Anonymous; own > maxAgentBytes-maxFileBytes {
		t.Errorf("the agent takes %d MiB of its own; it may take %d", own>>20, (maxAgentBytes-maxFileBytes)>>20)
	}
}

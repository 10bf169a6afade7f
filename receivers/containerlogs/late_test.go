package containerlogs

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// TestWritesAfterRotation writes to the old file through a descriptor, as
// containerd does while it empties its pipe.
func TestWritesAfterRotation(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 1))
	old, err := os.OpenFile(n.path("0.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 1))
	n.rename("0.log", "0.log.20261123-045752")
	n.write("0.log", lines("b", 0, 1))
	s.expect(t, []string{"a-0", "b-0"})
	old.WriteString(lines("a", 1, 1))
	s.expect(t, []string{"a-0", "b-0", "a-1"})
	n.write("0.log", lines("b", 1, 1))
	s.expect(t, []string{"a-0", "b-0", "a-1", "b-1"})
	if got := p.counter("rotations", attribute.String("kind", "late_write")); got != 1 {
		t.Errorf("late writes = %d, want 1", got)
	}
}

func TestUnterminatedLineOfRotatedFile(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 1)+stamp+" stdout F no newline")
	n.rename("0.log", "0.log.20261123-045752")
	n.write("0.log", lines("b", 0, 1))
	s := &sink{}
	p := n.start(s)
	s.expect(t, []string{"a-0", "no newline", "b-0"})
	if got := p.counter("malformed_lines", attribute.String("reason", string(faultUnterminated))); got != 1 {
		t.Errorf("unterminated = %d, want 1", got)
	}
}

func TestLongUnterminatedLineOfRotatedFile(t *testing.T) {
	n := newNode(t)
	n.cfg.MaxLineBytes = 2000
	n.write("0.log", cri("P", "begin ")+stamp+" stdout F "+strings.Repeat("x", chunkBytes*2))
	n.rename("0.log", "0.log.20261123-045752")
	n.write("0.log", lines("b", 0, 1))
	s := &sink{}
	n.start(s)
	s.expect(t, []string{("begin " + strings.Repeat("x", 2000))[:2000], "b-0"})
}

func TestPartialLineOfDeletedPodIsDelivered(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 1)+cri("P", "no end"))
	s := &sink{}
	n.start(s)
	s.expect(t, wantLines("a", 0, 1))
	if err := os.RemoveAll(n.root); err != nil {
		t.Fatal(err)
	}
	s.expect(t, []string{"a-0", "no end"})
}

func TestDamagedGzip(t *testing.T) {
	n := newNode(t)
	n.write("0.log.20261123-045752", lines("a", 0, 2000))
	n.compress("0.log.20261123-045752")
	st, err := os.Stat(n.path("0.log.20261123-045752.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(n.path("0.log.20261123-045752.gz"), st.Size()/2); err != nil {
		t.Fatal(err)
	}
	n.write("0.log", lines("b", 0, 1))
	s := &sink{}
	p := n.start(s)
	eventually(t, "next file", func() bool {
		got := s.got()
		return len(got) > 0 && got[len(got)-1] == "b-0"
	})
	if got := p.counter("lost_files"); got != 1 {
		t.Errorf("lost_files = %d, want 1", got)
	}
}

// TestLossIsCounted deletes a file that could not be held open.
func TestLossIsCounted(t *testing.T) {
	n := newNode(t)
	n.write("0.log", lines("a", 0, 3))
	s := &sink{}
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 3))
	tail := p.discovery.snapshot()[0]
	tail.mu.Lock()
	p.discovery.release(tail.head())
	p.discovery.maxOpen = 0
	tail.mu.Unlock()
	n.write("0.log", lines("a", 3, 2))
	eventually(t, "refused to open", func() bool {
		return p.counter("read_errors", attribute.String("reason", "open_files")) > 0
	})
	n.remove("0.log")
	eventually(t, "loss counted", func() bool { return p.counter("lost") == int64(len(lines("a", 3, 2))) })
}

// TestDeletedFilesPinLittleDisk deletes a backlog that cannot be delivered.
func TestDeletedFilesPinLittleDisk(t *testing.T) {
	n := newNode(t)
	var down atomic.Bool
	s := &sink{answer: func(plog.Logs) error {
		if down.Load() {
			return errors.New("store is down")
		}
		return nil
	}}
	n.write("0.log", lines("a", 0, 1))
	p := n.start(s)
	s.expect(t, wantLines("a", 0, 1))
	down.Store(true)
	n.write("0.log", lines("a", 1, 1))
	eventually(t, "delivery blocked", func() bool { return p.counter("retries") > 0 })
	p.discovery.snapshot()[0].mu.Lock() // a scan takes it before it reads the bound
	p.discovery.maxPinned = 1000
	p.discovery.snapshot()[0].mu.Unlock()
	n.write("0.log", lines("a", 2, 1000))
	n.rename("0.log", "0.log.20261123-045752")
	n.write("0.log", lines("b", 0, 1))
	n.remove("0.log.20261123-045752")
	eventually(t, "loss counted", func() bool { return p.counter("lost") == int64(len(lines("a", 2, 1000))) })
	down.Store(false)
	s.expect(t, []string{"a-0", "a-1", "b-0"})
}

// pods is an extension that keeps a real cache.
type pods struct {
	component.StartFunc
	component.ShutdownFunc
	cache *kubemeta.Cache
}

func (p *pods) Cache() *kubemeta.Cache { return p.cache }

type hostWith struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h hostWith) GetExtensions() map[component.ID]component.Component { return h.extensions }

func TestFileWaitsForItsPod(t *testing.T) {
	id := component.MustNewID("kubepods")
	start := func(n *node, s *sink, cache *kubemeta.Cache) *program {
		n.cfg.Pods = &id
		reader := sdkmetric.NewManualReader()
		set := settings(t)
		set.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		r, err := newLogsReceiver(set, n.cfg, s.consumer(t))
		if err != nil {
			t.Fatal(err)
		}
		host := hostWith{componenttest.NewNopHost(), map[component.ID]component.Component{id: &pods{cache: cache}}}
		if err := r.Start(t.Context(), host); err != nil {
			t.Fatal(err)
		}
		p := &program{logsReceiver: r, sink: s, reader: reader}
		t.Cleanup(p.stop)
		return p
	}
	t.Run("known", func(t *testing.T) {
		n, s, cache := newNode(t), &sink{}, kubemeta.NewCache()
		n.cfg.PodWait = maxPodWait
		n.write("0.log", lines("a", 0, 1))
		p := start(n, s, cache)
		eventually(t, "first scan", p.discovery.scanned.Load)
		n.write("0.log", lines("a", 1, 1))
		if got := s.got(); len(got) != 0 {
			t.Fatalf("read before the pod is known: %q", got)
		}
		cache.Put(&kubemeta.Pod{UID: "540f5235-a1f0-4a99-a26f-06be737bf0ce", Namespace: "shop", Name: "web"})
		s.expect(t, wantLines("a", 0, 2))
		if got := p.counter("pod_waits", attribute.String("result", "known")); got != 1 {
			t.Errorf("known = %d, want 1", got)
		}
	})
	t.Run("start of the container", func(t *testing.T) {
		n, s, cache := newNode(t), &sink{}, kubemeta.NewCache()
		n.cfg.PodWait = maxPodWait
		n.write("1.log", lines("a", 0, 1))
		pod := func(c kubemeta.Container) *kubemeta.Pod {
			c.Name = container
			return &kubemeta.Pod{UID: "540f5235-a1f0-4a99-a26f-06be737bf0ce", Namespace: "shop", Name: "web", Containers: []kubemeta.Container{c}}
		}
		cache.Put(pod(kubemeta.Container{ID: "first"}))
		p := start(n, s, cache)
		eventually(t, "first scan", p.discovery.scanned.Load)
		cache.Put(pod(kubemeta.Container{RestartCount: 1}))
		n.write("1.log", lines("a", 1, 1))
		if got := p.counter("pod_waits", attribute.String("result", "known")); got != 0 {
			t.Fatal("admitted before the container's id is known")
		}
		cache.Put(pod(kubemeta.Container{RestartCount: 1, ID: "second"}))
		s.expect(t, wantLines("a", 0, 2))
	})
	t.Run("start that nobody remembers", func(t *testing.T) {
		n, s, cache := newNode(t), &sink{}, kubemeta.NewCache()
		n.cfg.PodWait = maxPodWait
		n.write("0.log", lines("a", 0, 1))
		cache.Put(&kubemeta.Pod{UID: "540f5235-a1f0-4a99-a26f-06be737bf0ce", Namespace: "shop", Name: "web",
			Containers: []kubemeta.Container{{Name: container, RestartCount: 1}}})
		start(n, s, cache)
		s.expect(t, wantLines("a", 0, 1))
	})
	t.Run("timeout", func(t *testing.T) {
		n, s := newNode(t), &sink{}
		n.cfg.PodWait = 100 * time.Millisecond
		n.write("0.log", lines("a", 0, 1))
		p := start(n, s, kubemeta.NewCache())
		s.expect(t, wantLines("a", 0, 1))
		if got := p.counter("pod_waits", attribute.String("result", "timeout")); got != 1 {
			t.Errorf("timeout = %d, want 1", got)
		}
	})
	t.Run("no source", func(t *testing.T) {
		n, s, cache := newNode(t), &sink{}, kubemeta.NewCache()
		n.cfg.PodWait = maxPodWait
		cache.Disable()
		n.write("0.log", lines("a", 0, 1))
		start(n, s, cache)
		s.expect(t, wantLines("a", 0, 1))
	})
	t.Run("not configured", func(t *testing.T) {
		n := newNode(t)
		n.cfg.Pods = &id
		r, err := newLogsReceiver(settings(t), n.cfg, (&sink{}).consumer(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context(), componenttest.NewNopHost()); err == nil {
			t.Error("a missing extension is accepted")
		}
		r.Shutdown(t.Context())
	})
}

func TestConfigValidate(t *testing.T) {
	if err := createDefaultConfig().(*Config).Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	f := func(change func(*Config)) {
		t.Helper()
		c := createDefaultConfig().(*Config)
		change(c)
		if c.Validate() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	f(func(c *Config) { c.Root = "pods" })
	f(func(c *Config) { c.Directory = "pods" })
	f(func(c *Config) { c.StartAt = "middle" })
	f(func(c *Config) { c.Exclude = []string{"["} })
	f(func(c *Config) { c.MaxLineBytes = 0 })
	f(func(c *Config) { c.MaxInFlightBytes = 1 })
	f(func(c *Config) { c.ScanInterval = 0 })
	f(func(c *Config) { c.PodWait = -1 })
}

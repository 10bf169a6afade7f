package containerlogs

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap/zaptest"
)

const (
	podDir    = "shop_web-7c58db8d8d-kd9cs_540f5235-a1f0-4a99-a26f-06be737bf0ce"
	container = "web"
	stamp     = "2026-11-23T04:57:52.786977262Z"
)

// node is a root directory with the files of one container, and where the
// receiver keeps its offsets.
type node struct {
	t    *testing.T
	root string
	dir  string // of the container
	cfg  *Config
}

func newNode(t *testing.T) *node {
	root := filepath.Join(t.TempDir(), "pods")
	cfg := createDefaultConfig().(*Config)
	cfg.Root, cfg.Directory = root, filepath.Join(t.TempDir(), "offsets")
	cfg.ScanInterval = 20 * time.Millisecond
	n := &node{t: t, root: root, dir: filepath.Join(root, podDir, container), cfg: cfg}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

// write appends text to a file.
func (n *node) write(name, text string) {
	n.t.Helper()
	f, err := os.OpenFile(n.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) rename(from, to string) {
	n.t.Helper()
	if err := os.Rename(n.path(from), n.path(to)); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) remove(name string) {
	n.t.Helper()
	if err := os.Remove(n.path(name)); err != nil {
		n.t.Fatal(err)
	}
}

// compress does what kubelet does: NAME -> NAME.tmp -> NAME.gz, then NAME goes.
func (n *node) compress(name string) {
	n.t.Helper()
	b, err := os.ReadFile(n.path(name))
	if err != nil {
		n.t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	if err := os.WriteFile(n.path(name+".tmp"), z.Bytes(), 0o644); err != nil {
		n.t.Fatal(err)
	}
	n.rename(name+".tmp", name+".gz")
	n.remove(name)
}

func cri(tag, text string) string { return stamp + " stdout " + tag + " " + text + "\n" }

// lines is n whole CRI lines "PREFIX-i", from first on.
func lines(prefix string, first, n int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		b.WriteString(cri("F", fmt.Sprintf("%s-%d", prefix, i)))
	}
	return b.String()
}

func wantLines(prefix string, first, n int) []string {
	var w []string
	for i := first; i < first+n; i++ {
		w = append(w, fmt.Sprintf("%s-%d", prefix, i))
	}
	return w
}

// sink is the next consumer; answer decides what it returns.
type sink struct {
	t      *testing.T
	mu     sync.Mutex
	bodies []string
	logs   []plog.Logs
	answer func(plog.Logs) error
}

func (s *sink) consumer(t *testing.T) consumer.Logs {
	s.t = t
	next, err := consumer.NewLogs(func(_ context.Context, ld plog.Logs) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.answer != nil {
			if err := s.answer(ld); err != nil {
				return err
			}
		}
		s.logs = append(s.logs, ld)
		for _, lr := range records(ld) {
			s.bodies = append(s.bodies, lr.Body().Str())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

func (s *sink) records() []plog.LogRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []plog.LogRecord
	for _, ld := range s.logs {
		all = append(all, records(ld)...)
	}
	return all
}

func records(ld plog.Logs) []plog.LogRecord {
	var all []plog.LogRecord
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				all = append(all, lr)
			}
		}
	}
	return all
}

// program is a running receiver.
type program struct {
	*logsReceiver
	sink   *sink
	reader *sdkmetric.ManualReader
}

func (n *node) start(s *sink) *program {
	n.t.Helper()
	reader := sdkmetric.NewManualReader()
	set := settings(n.t)
	set.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	r, err := newLogsReceiver(set, n.cfg, s.consumer(n.t))
	if err != nil {
		n.t.Fatal(err)
	}
	if err := r.Start(n.t.Context(), componenttest.NewNopHost()); err != nil {
		n.t.Fatal(err)
	}
	p := &program{logsReceiver: r, sink: s, reader: reader}
	n.t.Cleanup(p.stop)
	return p
}

func settings(t testing.TB) receiver.Settings {
	set := receivertest.NewNopSettings(Type)
	set.Logger = zaptest.NewLogger(t)
	return set
}

func (p *program) stop() { p.Shutdown(context.Background()) }

// kill ends the receiver as kill -9 would: what it saves while it stops is
// undone.
func (p *program) kill() {
	path := filepath.Join(p.cfg.Directory, offsetsName)
	before, err := os.ReadFile(path)
	p.stop()
	if err != nil {
		err = os.RemoveAll(path)
	} else {
		err = os.WriteFile(path, before, 0o600)
	}
	if err != nil {
		p.sink.t.Fatal(err)
	}
}

// counter returns a counter's sum over all labels that match.
func (p *program) counter(name string, labels ...attribute.KeyValue) int64 {
	var rm metricdata.ResourceMetrics
	if err := p.reader.Collect(context.Background(), &rm); err != nil {
		return -1
	}
	var total int64
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if m.Name != "crowsnest_containerlogs_"+name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				total += sum(data.DataPoints, labels)
			case metricdata.Gauge[int64]:
				total += sum(data.DataPoints, labels)
			}
		}
	}
	return total
}

func sum(points []metricdata.DataPoint[int64], labels []attribute.KeyValue) int64 {
	var total int64
next:
	for _, p := range points {
		for _, l := range labels {
			if v, ok := p.Attributes.Value(l.Key); !ok || v != l.Value {
				continue next
			}
		}
		total += p.Value
	}
	return total
}

// eventually waits until ok; the test's own timeout is the only clock.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never came: %s", what)
		case <-tick.C:
		}
	}
}

// expect waits until the sink has exactly the wanted bodies, in order.
func (s *sink) expect(t *testing.T, want []string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		got := s.got()
		if len(got) >= len(want) || time.Now().After(deadline) {
			if diff := firstDifference(got, want); diff != "" {
				t.Fatal(diff)
			}
			return
		}
		<-tick.C
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w || i >= len(got) || i >= len(want) {
			return fmt.Sprintf("line %d of %d (wanted %d): got %.80q, want %.80q", i, len(got), len(want), g, w)
		}
	}
	return ""
}

// saved waits until every acknowledged offset is in the offsets file.
func (p *program) saved(t *testing.T) {
	t.Helper()
	eventually(t, "offsets saved", func() bool {
		return p.discovery.scanned.Load() && !p.changed.Load() && p.counter("offset_writes", attribute.String("result", "ok")) > 0
	})
}

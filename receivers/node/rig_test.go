package node

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// node_exporter can be set up once in a process. Tests in this process use the
// machine's own proc; those of another root run the receiver in a process of
// its own, which is this test binary with this variable set: a file with
// the configuration as JSON.
const childVariable = "CROWSNEST_NODE_TEST_CHILD"

// child runs a receiver until standard input ends, and writes what it sends to
// standard output, one JSON text a line.
func child(file string) {
	content, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	cfg := defaultConfig()
	if err := json.Unmarshal(content, cfg); err != nil {
		panic(err)
	}
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	set := receivertest.NewNopSettings(NewFactory().Type())
	set.Logger = zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()), zapcore.AddSync(os.Stderr), zap.InfoLevel))
	r, err := newReceiver(cfg, set, writer{os.Stdout})
	if err != nil {
		panic(err)
	}
	if err := r.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := r.Shutdown(context.Background()); err != nil {
		panic(err)
	}
}

type writer struct{ io.Writer }

func (writer) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (w writer) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	text, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(md)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// remote is a receiver in a process of its own.
type remote struct {
	collections chan pmetric.Metrics
	log         *lockedBuffer
}

type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func startRemote(t *testing.T, cfg *Config, attributes *syscall.SysProcAttr) *remote {
	t.Helper()
	content, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childVariable+"="+file)
	command.SysProcAttr = attributes
	r := &remote{collections: make(chan pmetric.Metrics, 100), log: &lockedBuffer{}}
	command.Stderr = r.log
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { r.read(t, stdout) })
	t.Cleanup(func() {
		_ = stdin.Close()
		reading.Wait()
		if err := command.Wait(); err != nil {
			t.Errorf("receiver's process: %v\n%s", err, r.log)
		}
	})
	return r
}

func (r *remote) read(t *testing.T, from io.Reader) {
	defer close(r.collections)
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
		if err != nil {
			t.Errorf("read %q: %v", line, err)
			return
		}
		r.collections <- md
	}
}

// next gives the receiver's next collection.
func (r *remote) next(t *testing.T) *collected {
	t.Helper()
	select {
	case md, ok := <-r.collections:
		if !ok {
			t.Fatalf("receiver's process ended:\n%s", r.log)
		}
		return flatten(md)
	case <-time.After(time.Minute):
		t.Fatalf("nothing came in a minute:\n%s", r.log)
	}
	return nil
}

// await gives the first collection for which ok holds.
func (r *remote) await(t *testing.T, what string, ok func(*collected) bool) *collected {
	t.Helper()
	for range 30 {
		if c := r.next(t); ok(c) {
			return c
		}
	}
	t.Fatalf("30 collections passed without %s:\n%s", what, r.log)
	return nil
}

// says waits for a text in the log, which comes by another pipe than the
// collections and so may come after them.
func (r *remote) says(t *testing.T, text string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(r.log.String(), text) {
		if time.Now().After(deadline) {
			t.Fatalf("log does not say %q:\n%s", text, r.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// collected is one collection as series, `name{label="value"}`.
type collected struct {
	resource map[string]any
	values   map[string]float64
	stale    map[string]bool
	types    map[string]string // by metric name
}

func flatten(md pmetric.Metrics) *collected {
	c := &collected{values: map[string]float64{}, stale: map[string]bool{}, types: map[string]string{}}
	rm := md.ResourceMetrics().At(0)
	c.resource = rm.Resource().Attributes().AsRaw()
	for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
		kind, _ := m.Metadata().Get(metadataType)
		c.types[m.Name()] = kind.Str()
		switch m.Type() {
		case pmetric.MetricTypeGauge:
			c.numbers(m.Name(), m.Gauge().DataPoints())
		case pmetric.MetricTypeSum:
			c.numbers(m.Name(), m.Sum().DataPoints())
		case pmetric.MetricTypeHistogram:
			for _, p := range m.Histogram().DataPoints().All() {
				c.add(seriesText(m.Name()+"_count", p.Attributes()), float64(p.Count()), p.Flags())
			}
		case pmetric.MetricTypeSummary:
			for _, p := range m.Summary().DataPoints().All() {
				c.add(seriesText(m.Name()+"_count", p.Attributes()), float64(p.Count()), p.Flags())
			}
		}
	}
	return c
}

func (c *collected) numbers(name string, points pmetric.NumberDataPointSlice) {
	for _, p := range points.All() {
		c.add(seriesText(name, p.Attributes()), p.DoubleValue(), p.Flags())
	}
}

func (c *collected) add(series string, value float64, flags pmetric.DataPointFlags) {
	if flags.NoRecordedValue() {
		c.stale[series] = true
		return
	}
	c.values[series] = value
}

func seriesText(name string, attributes pcommon.Map) string {
	var labels []string
	for k, v := range attributes.All() {
		labels = append(labels, fmt.Sprintf("%s=%q", k, v.Str()))
	}
	if labels == nil {
		return name
	}
	slices.Sort(labels)
	return name + "{" + strings.Join(labels, ",") + "}"
}

// has says whether there is a series of the name with a value.
func (c *collected) has(name string) bool {
	return c.count(name) > 0
}

func (c *collected) count(name string) (n int) {
	for series := range c.values {
		if series == name || strings.HasPrefix(series, name+"{") {
			n++
		}
	}
	return n
}

// want checks the value of one series.
func (c *collected) want(t *testing.T, series string, value float64) {
	t.Helper()
	got, ok := c.values[series]
	if !ok {
		name, _, _ := strings.Cut(series, "{")
		var others []string
		for other := range maps.Keys(c.values) {
			if strings.HasPrefix(other, name) {
				others = append(others, other)
			}
		}
		t.Errorf("no series %s; there are %q", series, others)
	} else if got != value {
		t.Errorf("%s is %v, want %v", series, got, value)
	}
}

// sink is the pipeline behind a receiver in this process.
type sink struct {
	mu  sync.Mutex
	got []pmetric.Metrics
	err error
}

func (*sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *sink) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.got = append(s.got, md)
	}
	return s.err
}

func (s *sink) last(t testing.TB) *collected {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		t.Fatal("nothing was sent")
	}
	return flatten(s.got[len(s.got)-1])
}

// own makes a receiver of this machine's own files, to be told when to
// collect. All tests of this process have the same configuration.
func own(t testing.TB, next consumer.Metrics) *nodeReceiver {
	t.Helper()
	directory, err := filepath.Abs("testdata/textfile")
	if err != nil {
		t.Fatal(err)
	}
	cfg := defaultConfig()
	cfg.Node = "node-1"
	cfg.Collectors.Arguments = []string{"--collector.textfile.directory=" + directory}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	r, err := newReceiver(cfg, receivertest.NewNopSettings(NewFactory().Type()), next)
	if err != nil {
		t.Fatal(err)
	}
	if err := configure(cfg.arguments(cfg.proc(), false)); err != nil {
		t.Fatal(err)
	}
	for _, name := range cfg.Collectors.enabled() {
		r.probes = append(r.probes, r.probe(name))
	}
	return r
}

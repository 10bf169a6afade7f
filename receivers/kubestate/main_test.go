package kubestate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a running receiver and what it sent.
type rig struct {
	receiver.Metrics
	tel  *componenttest.Telemetry
	logs *observer.ObservedLogs

	mu      sync.Mutex
	passing pcommon.Timestamp
	pass    map[string]sample // of the interval that is being sent
	last    map[string]sample // of the last whole one
	passes  int               // whole ones
	marked  map[string]int    // markers of each series, of all time
	answer  func(pmetric.Metrics) error
	largest int // points of a batch
}

// Capabilities tells that the rig only reads.
func (*rig) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeMetrics notes what came.
func (r *rig) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answer != nil {
		if err := r.answer(md); err != nil {
			return err
		}
	}
	r.largest = max(r.largest, md.DataPointCount())
	eachPoint(md, func(m pmetric.Metric, p pmetric.NumberDataPoint) {
		if p.Timestamp() > r.passing {
			r.passing, r.last, r.pass = p.Timestamp(), r.pass, map[string]sample{}
			r.passes++
		}
		labels := map[string]string{}
		for name, v := range p.Attributes().All() {
			labels[name] = v.Str()
		}
		name := seriesName(m.Name(), labels)
		if p.Flags().NoRecordedValue() {
			r.marked[name]++
			return
		}
		typ, _ := m.Metadata().Get(metaType)
		r.pass[name] = sample{p.DoubleValue(), m.Description(), typ.Str()}
	})
	return nil
}

// latest are the series of the last whole interval.
func (r *rig) latest() map[string]sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.last)
}

// marks counts the markers that a series had.
func (r *rig) marks(series string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.marked[series]
}

// wholePasses counts the intervals that were sent whole.
func (r *rig) wholePasses() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passes
}

// sum adds a counter's points.
func sum(m metricdata.Metrics) (total int64) {
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		total += p.Value
	}
	return total
}

// setAnswer makes the pipeline answer with an error.
func (r *rig) setAnswer(answer func(pmetric.Metrics) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func eachPoint(md pmetric.Metrics, f func(pmetric.Metric, pmetric.NumberDataPoint)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				var points pmetric.NumberDataPointSlice
				if m.Type() == pmetric.MetricTypeSum {
					points = m.Sum().DataPoints()
				} else {
					points = m.Gauge().DataPoints()
				}
				for _, p := range points.All() {
					f(m, p)
				}
			}
		}
	}
}

func startWith(t *testing.T, host component.Host, written map[string]any) *rig {
	t.Helper()
	r := createReceiver(t, written)
	if err := r.Start(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	return r
}

func createReceiver(t *testing.T, written map[string]any) *rig {
	t.Helper()
	cfg := NewFactory().CreateDefaultConfig()
	if err := confmap.NewFromStringMap(written).Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
	if err := cfg.(*Config).Validate(); err != nil {
		t.Fatal(err)
	}
	r := &rig{tel: componenttest.NewTelemetry(), pass: map[string]sample{}, marked: map[string]int{}}
	core, logs := observer.New(zap.InfoLevel)
	r.logs = logs
	set := receiver.Settings{ID: component.MustNewID("kubestate"), TelemetrySettings: r.tel.NewTelemetrySettings()}
	set.Logger = zap.New(core)
	var err error
	if r.Metrics, err = NewFactory().CreateMetrics(t.Context(), set, cfg, r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 { // twice must be safe
			if err := r.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if err := r.tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, entry := range logs.All() {
				t.Log(entry.Message, entry.ContextMap())
			}
		}
	})
	return r
}

// sample is a series' value and what is told of its family.
type sample struct {
	Value      float64
	Help, Type string
}

func seriesName(name string, labels map[string]string) string {
	var b strings.Builder
	b.WriteString(name + "{")
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if labels[label] != "" {
			fmt.Fprintf(&b, "%s=%q,", label, labels[label])
		}
	}
	return b.String() + "}"
}

// poll asks until it is so, for a minute at most; the test fails with what the
// last answer told.
func poll(t testing.TB, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		done, told := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s\n%s", what, told)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

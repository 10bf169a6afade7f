package kubeevents

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a running receiver and what it sent.
type rig struct {
	receiver.Logs
	tel  *componenttest.Telemetry
	logs *observer.ObservedLogs

	mu   sync.Mutex
	told []told // that were taken
}

// start runs a receiver; answer says what the pipeline does, nil takes all.
func start(t testing.TB, kubeconfig string, answer func(plog.Logs) error) *rig {
	t.Helper()
	r := prepareKeeping(t, &Config{Kubeconfig: kubeconfig}, answer)
	r.start(t, componenttest.NewNopHost())
	return r
}

// prepareKeeping makes one whose records are kept.
func prepareKeeping(t testing.TB, cfg *Config, answer func(plog.Logs) error) *rig {
	t.Helper()
	var r *rig
	r = prepare(t, cfg, func(_ context.Context, logs plog.Logs) error {
		if answer != nil {
			if err := answer(logs); err != nil {
				return err
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = append(r.told, tell(logs)...)
		return nil
	})
	return r
}

// startCounting runs one whose records are not kept.
func startCounting(t testing.TB, kubeconfig string, consume consumer.ConsumeLogsFunc) *rig {
	t.Helper()
	r := prepare(t, &Config{Kubeconfig: kubeconfig}, consume)
	r.start(t, componenttest.NewNopHost())
	return r
}

func (r *rig) start(t testing.TB, host component.Host) {
	t.Helper()
	if err := r.Start(t.Context(), host); err != nil {
		t.Fatal(err)
	}
}

func prepare(t testing.TB, cfg *Config, consume consumer.ConsumeLogsFunc) *rig {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	next, err := consumer.NewLogs(consume)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{tel: componenttest.NewTelemetry()}
	core, logs := observer.New(zap.InfoLevel)
	r.logs = logs
	set := receiver.Settings{ID: component.MustNewID("kubeevents"), TelemetrySettings: r.tel.NewTelemetrySettings()}
	set.Logger = zap.New(core)
	if r.Logs, err = NewFactory().CreateLogs(t.Context(), set, cfg, next); err != nil {
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

// objects are the names of those that were told of, in their order.
func (r *rig) objects() (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range r.told {
		names = append(names, record.Attributes["k8s.object.name"].(string))
	}
	return names
}

// has waits until exactly these objects were told of, in this order.
func (r *rig) has(t testing.TB, names ...string) {
	t.Helper()
	poll(t, strings.Join(names, " "), func() (bool, string) {
		got := r.objects()
		return slices.Equal(got, names), strings.Join(got, " ")
	})
}

// counted adds a counter's points.
func (r *rig) counted(t testing.TB, name string) (total int64) {
	t.Helper()
	m, err := r.tel.GetMetric(name)
	if err != nil {
		return 0 // nothing was counted
	}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		total += p.Value
	}
	return total
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

package leader

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replica is a running extension with work that only a leader does.
type replica struct {
	extension.Extension
	logs *observer.ObservedLogs
	work *work
	stop func() // of the work's caller
}

// work notes who leads; only one may at a time.
type work struct {
	name  string
	now   *atomic.Int32 // how many lead, of all replicas
	terms atomic.Int32
	leads atomic.Bool
	worst *atomic.Int32 // most that led at once
}

func (w *work) run(ctx context.Context) {
	w.worst.Store(max(w.worst.Load(), w.now.Add(1)))
	w.terms.Add(1)
	w.leads.Store(true)
	<-ctx.Done()
	w.leads.Store(false)
	w.now.Add(-1)
}

func start(t *testing.T, written map[string]any, w *work) *replica {
	t.Helper()
	cfg := NewFactory().CreateDefaultConfig()
	if err := confmap.NewFromStringMap(written).Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
	if err := cfg.(*Config).Validate(); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	set := extension.Settings{ID: component.MustNewID("leader"), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	set.Logger = zap.New(core)
	ext, err := NewFactory().Create(t.Context(), set, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := ext.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		ext.(interface {
			Lead(context.Context, func(context.Context))
		}).Lead(ctx, w.run)
	})
	r := &replica{Extension: ext, logs: logs, work: w, stop: func() { cancel(); wg.Wait() }}
	t.Cleanup(func() {
		r.stop()
		for range 2 { // twice must be safe
			if err := ext.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return r
}

// eventually polls until the condition holds; its own deadline ends it.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestWithoutLeaseAlwaysLeads(t *testing.T) {
	w := &work{now: new(atomic.Int32), worst: new(atomic.Int32)}
	r := start(t, map[string]any{}, w)
	eventually(t, "it leads", w.leads.Load)
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if w.leads.Load() {
		t.Error("work outlives Shutdown")
	}
}

// TestTerms is about the order of things within a process, in a bubble of time.
func TestTerms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var brief, long, running int
		wg.Go(func() { o.Lead(ctx, func(context.Context) { brief++ }) })
		wg.Go(func() {
			o.Lead(ctx, func(ctx context.Context) {
				long++
				running++
				<-ctx.Done()
				time.Sleep(time.Second) // work takes time to end
				running--
			})
		})
		for range 2 {
			if !o.begin(context.Background()) {
				t.Error("no term begins")
			}
			if o.begin(context.Background()) {
				t.Error("a second term begins in the first")
			}
			synctest.Wait()
			if running != 1 {
				t.Errorf("%d run", running)
			}
			if !o.end() || running != 0 {
				t.Errorf("%d still run when the term is over", running)
			}
			synctest.Wait()
		}
		if brief != 2 || long != 2 {
			t.Errorf("ran %d and %d times in two terms", brief, long)
		}
		o.close()
		if o.begin(context.Background()) {
			t.Error("a term begins after the end")
		}
		cancel()
		wg.Wait()
	})
}

func TestTermOfAnEndedCandidacyNeverBegins(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if newOffice().begin(ctx) {
		t.Error("it begins")
	}
}

func TestConfig(t *testing.T) {
	if err := componenttest.CheckConfigStruct(NewFactory().CreateDefaultConfig()); err != nil {
		t.Error(err)
	}
	f := func(c Config, want string) {
		t.Helper()
		err := c.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(*defaultConfig().(*Config), "")
	f(Config{LeaseDuration: time.Second}, "lease_duration: 1s is not in whole seconds between 3s and 1h")
	f(Config{LeaseDuration: 3500 * time.Millisecond}, "lease_duration: 3.5s")
	f(Config{LeaseDuration: time.Minute, Lease: "a/b"}, `lease: "a/b" is not an object's name`)
}

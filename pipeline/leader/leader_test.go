package leader

import (
	"context"
	"io"
	"net"
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
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
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

func kubeconfig(t *testing.T, s *apiserver.Server, c *rest.Config) string {
	t.Helper()
	file, err := s.Kubeconfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func settings(file, identity string) map[string]any {
	return map[string]any{"lease": "crowsnest", "namespace": "default", "identity": identity,
		"lease_duration": "6s", "kubeconfig": file}
}

// proxy stands between a replica and the API server and can be cut.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	isCut    bool
	wg       sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn, to) })
		}
	})
	t.Cleanup(func() { l.Close(); p.cut(); p.wg.Wait() })
	return p
}

func (p *proxy) serve(conn net.Conn, to string) {
	defer conn.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.add(conn, server) {
		return
	}
	var wg sync.WaitGroup
	for _, pair := range [][2]net.Conn{{conn, server}, {server, conn}} {
		wg.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // ends by the cut
			conn.Close()
			server.Close()
		})
	}
	wg.Wait()
}

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
	return !p.isCut
}

// cut ends all connections, and those to come.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isCut = true
	for _, c := range p.conns {
		c.Close()
	}
}

func TestOneLeadsAtATimeOnARealAPIServer(t *testing.T) {
	server := apiserver.Test(t)
	var now, worst atomic.Int32
	works := [3]*work{}
	for i, name := range []string{"a", "b", "c"} {
		works[i] = &work{name: name, now: &now, worst: &worst}
	}

	// a reaches the API server by a line that will be cut.
	cuttable := newProxy(t, strings.TrimPrefix(server.URL(), "https://"))
	behind := server.Config()
	behind.Host = "https://" + cuttable.listener.Addr().String()
	fileA := kubeconfig(t, server, behind)
	a := start(t, settings(fileA, "a"), works[0])
	eventually(t, "a leads", works[0].leads.Load)

	direct := kubeconfig(t, server, server.Config())
	b := start(t, settings(direct, "b"), works[1])
	cuttable.cut()
	eventually(t, "b takes over from a, which cannot renew", works[1].leads.Load)
	if works[0].leads.Load() {
		t.Error("a still leads")
	}
	if a.logs.FilterMessageSnippet("Lease cannot be read or written").Len() != 1 {
		t.Errorf("a says: %v", a.logs.All())
	}

	start(t, settings(direct, "c"), works[2])
	b.stop() // as receivers end before extensions do
	began := time.Now()
	if err := b.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c takes over from b, which gave the lease back", works[2].leads.Load)
	t.Logf("an orderly end hands over within %v", time.Since(began))
	if worst.Load() != 1 {
		t.Errorf("%d led at once", worst.Load())
	}
}

func TestForbiddenIsToldWithRemedy(t *testing.T) {
	server := apiserver.Test(t)
	w := &work{now: new(atomic.Int32), worst: new(atomic.Int32)}
	r := start(t, settings(kubeconfig(t, server, server.NobodyConfig()), "a"), w)
	eventually(t, "it is told", func() bool {
		for _, entry := range r.logs.All() {
			if remedy, _ := entry.ContextMap()["remedy"].(string); strings.HasPrefix(remedy, "grant the service account get, create and update on leases") {
				return true
			}
		}
		return false
	})
	if w.terms.Load() != 0 {
		t.Error("it leads without a lease")
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

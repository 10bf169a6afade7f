package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/crowsnest-o11y/crowsnest/cadence"
	"github.com/crowsnest-o11y/crowsnest/test/counters"
	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

func TestCapturesOverTLS(t *testing.T) {
	mux := http.NewServeMux()
	files := map[string]string{"/metrics/cadvisor": "metrics-cadvisor.txt", "/metrics/resource": "metrics-resource.txt", "/metrics/probes": "metrics-probes.txt", "/metrics": "metrics.txt"}
	for path, file := range files {
		mux.Handle(path, text(string(capture(t, file))))
	}
	r := newRig(t, mux, nil)
	for path, file := range files {
		e := r.page(t, path)
		for range 2 {
			e.scrape(t.Context())
			series, up := r.sink.last(t)
			var expected []string
			for _, line := range want(t, string(capture(t, file)), false) {
				expected = append(expected, line[:strings.LastIndexByte(line, ' ')])
			}
			if samples.Equal(t, series, expected); up != "1" {
				t.Errorf("up is %q, want 1", up)
			}
		}
		resource := r.sink.got[len(r.sink.got)-1].ResourceMetrics().At(0).Resource().Attributes().AsRaw()
		if d := cmp.Diff(map[string]any{"service.name": "kubelet", "service.instance.id": e.instance, "url.path": path}, resource); d != "" {
			t.Errorf("resource differs (-want +got):\n%s", d)
		}
		if n := counters.Sum(t, r.telemetry, "crowsnest_kubelet_scrapes", "path", path, "outcome", "ok"); n != 2 {
			t.Errorf("%d scrapes of %s counted, want 2", n, path)
		}
	}
}

func TestKubeletGoesDown(t *testing.T) {
	r := newRig(t, text(string(capture(t, "metrics-resource.txt"))), nil)
	e := r.page(t, "/metrics/resource")
	e.scrape(t.Context())
	before, _ := r.sink.last(t)
	e.fetcher.client.CloseIdleConnections() // what a request meets on one that breaks is a matter of luck
	r.server.Close()
	e.scrape(t.Context())
	r.failed(t, outcomeConnect, "endpoint")
	series, _ := r.sink.last(t)
	if len(series) != len(before) {
		t.Errorf("%d markers for %d series", len(series), len(before))
	}
	for _, line := range series {
		if !strings.HasSuffix(line, " stale") {
			t.Errorf("not marked: %s", line)
		}
	}
	if n := counters.Sum(t, r.telemetry, "crowsnest_kubelet_stale_markers"); n != int64(len(before)) {
		t.Errorf("%d markers counted, want %d", n, len(before))
	}
	e.scrape(t.Context())
	if r.logs.Len() != 1 {
		t.Errorf("two failures of one cause made %d log lines", r.logs.Len())
	}
}

func TestRefusedByPipeline(t *testing.T) {
	r := newRig(t, text("a 1\nb 2\n"), nil)
	e := r.page(t, "/metrics")
	r.sink.err = errors.New("memory limit")
	e.scrape(t.Context())
	const points = 2 + 3
	dropped := func(reason string) int64 {
		return counters.Sum(t, r.telemetry, "crowsnest_dropped_items", "reason", reason, "component", r.settings.ID.String())
	}
	if dropped(reasonRefused) != points || counters.Sum(t, r.telemetry, "crowsnest_received_items") != points {
		t.Errorf("%d dropped of %d received, want %d", dropped(reasonRefused), counters.Sum(t, r.telemetry, "crowsnest_received_items"), points)
	}
	r.sink.err = consumererror.NewPermanent(errors.New("never"))
	e.scrape(t.Context())
	if dropped(reasonRefused) != points || counters.Sum(t, r.telemetry, "crowsnest_received_items") != points {
		t.Error("a permanent refusal, which others count, was counted")
	}
	// a and b may have been believed in; both are marked until that is taken.
	r.server.Config.Handler = text("a 1\n")
	r.sink.err = errors.New("memory limit")
	e.scrape(t.Context())
	r.sink.err = nil
	e.scrape(t.Context())
	series, _ := r.sink.last(t)
	samples.Equal(t, series, []string{`{__name__="a"} 1`, `{__name__="b"} stale`})
}

// refusing is a pipeline that does not take one of the requests.
type refusing struct {
	*sink
	until int // it, counted from 1
}

func (r *refusing) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	if r.until--; r.until == 0 {
		return errors.New("disk full")
	}
	return r.sink.ConsumeMetrics(ctx, md)
}

// A page goes out in requests of bounded size; one that is refused takes only
// its own points with it, and no marker is taken for given.
func TestRequestsOfOnePage(t *testing.T) {
	r := newRig(t, text(fullNode(t)), nil)
	e := r.page(t, "/metrics/cadvisor")
	e.scrape(t.Context())
	if n := len(r.sink.got); n != 14 {
		t.Errorf("%d requests for 13,200 series, want 14", n)
	}
	for _, md := range r.sink.got {
		if n := md.DataPointCount(); n > requestSeries+3 {
			t.Errorf("a request of %d points", n)
		}
	}
	if series, _ := r.sink.last(t); len(series) != 13_200 {
		t.Errorf("%d series went out, want 13,200", len(series))
	}
	r.server.Config.Handler = text("a 1\n")
	e.next = &refusing{sink: r.sink, until: 3}
	e.scrape(t.Context())
	if n := counters.Sum(t, r.telemetry, "crowsnest_dropped_items", "reason", reasonRefused); n != requestSeries {
		t.Errorf("%d points counted as refused, want those of one request", n)
	}
	e.scrape(t.Context())
	if series, _ := r.sink.last(t); len(series) != 13_200+1 {
		t.Errorf("%d series after the refusal, want all marked again", len(series))
	}
	e.scrape(t.Context())
	if series, _ := r.sink.last(t); len(series) != 1 {
		t.Errorf("%d series, want one", len(series))
	}
}

func TestLimitsAreInTheLedger(t *testing.T) {
	r := newRig(t, text("t 1 0\na 1\nb 1\nc 1\nd 1\n"), func(cfg *Config) { cfg.MaxSeries = 2 })
	r.page(t, "/metrics").scrape(t.Context())
	series, up := r.sink.last(t)
	if samples.Equal(t, series, []string{`{__name__="a"} 1`, `{__name__="b"} 1`}); up != "1" {
		t.Errorf("up is %q, want 1", up)
	}
	over := counters.Sum(t, r.telemetry, "crowsnest_dropped_items", "reason", reasonSeriesLimit)
	bad := counters.Sum(t, r.telemetry, "crowsnest_dropped_items", "reason", reasonTime)
	if received := counters.Sum(t, r.telemetry, "crowsnest_received_items"); over != 2 || bad != 1 || received != 3 {
		t.Errorf("%d over the limit, %d of impossible time, %d received, want 2, 1, 3", over, bad, received)
	}
	if r.logs.FilterMessageSnippet("max_series").Len() != 1 || r.logs.FilterMessageSnippet("timestamp").Len() != 1 {
		t.Errorf("log is %v", r.logs.All())
	}
}

func TestLifecycle(t *testing.T) {
	arrived := make(chan string, 100)
	r := newRig(t, http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		arrived <- request.URL.Path
		<-request.Context().Done() // hangs until the receiver gives up
	}), func(cfg *Config) {
		cfg.CollectionInterval = time.Second
		cfg.Client.Timeout = time.Second
	})
	if err := r.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown without start: %v", err)
	}
	if err := r.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for len(paths) < 4 {
		paths[<-arrived] = true
	}
	for range 2 {
		if err := r.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	}
}

func TestStartRefusesMissingCA(t *testing.T) {
	r := newRig(t, text(""), func(cfg *Config) { cfg.Client.TLS.CAFile = "/nonexistent/ca.crt" })
	if err := r.Start(t.Context(), componenttest.NewNopHost()); err == nil || !strings.Contains(err.Error(), "/nonexistent/ca.crt") {
		t.Errorf("start: %v", err)
	}
}

// pipeListener connects clients and a server inside a synctest bubble.
type pipeListener struct {
	connections chan net.Conn
	closed      chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.connections:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { close(l.closed); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	l.connections <- server
	return client, nil
}

func TestHangingPageDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := &pipeListener{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hangs" {
				<-r.Context().Done()
				return
			}
			text("a 1\n")(w, r)
		})}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) })

		cfg := defaultConfig()
		cfg.Client.Endpoint = "http://node:10250"
		out := &sink{}
		core, logs := observer.New(zapcore.WarnLevel)
		set := receivertest.NewNopSettings(NewFactory().Type())
		set.Logger = zap.New(core)
		r, err := newReceiver(cfg, set, out)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		var running sync.WaitGroup
		var transports []*http.Transport
		for i, path := range []string{"/hangs", "/works"} {
			transport := &http.Transport{DialContext: listener.dial}
			transports = append(transports, transport)
			e := r.endpoint(mustURL(t, cfg.Client.Endpoint), path, &http.Client{Transport: transport})
			running.Go(func() {
				cadence.Of("node:10250", cfg.CollectionInterval).Part(i, 2).Run(ctx, e.scrape)
			})
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		cancel()
		running.Wait()
		for _, transport := range transports {
			transport.CloseIdleConnections()
		}
		_ = server.Close()
		serving.Wait()

		times := map[string][]time.Duration{}
		for _, md := range out.got {
			rm := md.ResourceMetrics().At(0)
			path, _ := rm.Resource().Attributes().Get("url.path")
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				if m.Name() == "up" {
					p := m.Gauge().DataPoints().At(0)
					key := fmt.Sprint(path.Str(), " ", p.DoubleValue())
					times[key] = append(times[key], p.Timestamp().AsTime().Sub(begun))
				}
			}
		}
		if len(times) != 2 || len(times["/hangs 0"]) < 3 || len(times["/works 1"]) < 4 {
			t.Fatalf("scrapes are %v", times)
		}
		for _, at := range times {
			for i := range at[1:] {
				if at[i+1]-at[i] != cfg.CollectionInterval {
					t.Errorf("scrapes are %v", times)
				}
			}
		}
		if says := fmt.Sprint(logs.All()[0].ContextMap()["error"]); logs.Len() != 1 || !strings.Contains(says, "hangs: no whole answer within 10s") {
			t.Errorf("%d log lines, the first says %s", logs.Len(), says)
		}
	})
}

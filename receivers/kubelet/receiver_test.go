package kubelet

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// sink is the pipeline behind the receiver.
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

// last gives the last scrape's series without their times and without those
// that describe the scrape, and "up".
func (s *sink) last(t *testing.T) (series []string, up string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		t.Fatal("nothing was sent")
	}
	for _, line := range flatten(s.got[len(s.got)-1].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()) {
		line = line[:strings.LastIndexByte(line, ' ')]
		if value, ok := strings.CutPrefix(line, `{__name__="up"} `); ok {
			up = value
		} else if !strings.HasPrefix(line, `{__name__="scrape_`) {
			series = append(series, line)
		}
	}
	return series, up
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
}

// rig is a receiver before a kubelet that answers each path by a handler.
type rig struct {
	*kubeletReceiver
	server    *httptest.Server
	sink      *sink
	logs      *observer.ObservedLogs
	telemetry *componenttest.Telemetry
}

func newRig(t *testing.T, handler http.Handler, change func(*Config)) *rig {
	t.Helper()
	r := &rig{sink: &sink{}, telemetry: componenttest.NewTelemetry()}
	r.server = httptest.NewUnstartedServer(handler)
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail by design
	r.server.EnableHTTP2 = true
	r.server.StartTLS()
	t.Cleanup(r.server.Close)
	t.Cleanup(func() { _ = r.telemetry.Shutdown(context.Background()) })

	cfg := NewFactory().CreateDefaultConfig().(*Config)
	cfg.Client.Endpoint = r.server.URL
	cfg.Client.TLS.CAFile = filepath.Join(t.TempDir(), "ca.crt")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	if err := os.WriteFile(cfg.Client.TLS.CAFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	set := receivertest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = r.telemetry.NewTelemetrySettings()
	core, logs := observer.New(zapcore.InfoLevel)
	set.Logger, r.logs = zap.New(core), logs
	made, err := NewFactory().CreateMetrics(t.Context(), set, cfg, r.sink)
	if err != nil {
		t.Fatal(err)
	}
	r.kubeletReceiver = made.(*kubeletReceiver)
	t.Cleanup(func() { _ = r.Shutdown(context.Background()) })
	return r
}

// page makes the endpoint of one path, to be scraped by hand.
func (r *rig) page(t *testing.T, path string) *endpoint {
	t.Helper()
	client, err := r.client(t.Context(), componenttest.NewNopHost())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	base := strings.TrimPrefix(r.server.URL, "https://")
	e := r.endpoint(mustURL(t, r.cfg.Client.Endpoint), path, client)
	if e.instance != base {
		t.Errorf("instance is %q, want %q", e.instance, base)
	}
	return e
}

// count sums a counter's points that have all the attributes.
func (r *rig) count(t *testing.T, name string, attributes ...attribute.KeyValue) (sum int64) {
	t.Helper()
	m, err := r.telemetry.GetMetric(name)
	if err != nil {
		return 0
	}
	for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if !slices.ContainsFunc(attributes, func(want attribute.KeyValue) bool {
			got, ok := point.Attributes.Value(want.Key)
			return !ok || got != want.Value
		}) {
			sum += point.Value
		}
	}
	return sum
}

// failed checks that the one scrape so far failed, as outcome, and that the log says all of it.
func (r *rig) failed(t *testing.T, outcome string, says ...string) {
	t.Helper()
	if _, up := r.sink.last(t); up != "0" {
		t.Errorf("up is %q, want 0", up)
	}
	if n := r.count(t, "crowsnest_kubelet_scrapes", attribute.String("outcome", outcome)); n != 1 {
		t.Errorf("%d scrapes counted as %s, want 1", n, outcome)
	}
	logged := fmt.Sprint(r.logs.FilterLevelExact(zapcore.WarnLevel).All())
	if r.logs.Len() == 1 {
		logged = fmt.Sprint(r.logs.All()[0].ContextMap()["error"])
	}
	for _, say := range says {
		if !strings.Contains(logged, say) {
			t.Errorf("log does not say %q: %s", say, logged)
		}
	}
}

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
			if equal(t, series, expected); up != "1" {
				t.Errorf("up is %q, want 1", up)
			}
		}
		resource := r.sink.got[len(r.sink.got)-1].ResourceMetrics().At(0).Resource().Attributes().AsRaw()
		if d := cmp.Diff(map[string]any{"service.name": "kubelet", "service.instance.id": e.instance, "url.path": path}, resource); d != "" {
			t.Errorf("resource differs (-want +got):\n%s", d)
		}
		if n := r.count(t, "crowsnest_kubelet_scrapes", attribute.String("path", path), attribute.String("outcome", "ok")); n != 2 {
			t.Errorf("%d scrapes of %s counted, want 2", n, path)
		}
	}
}

func TestDistrustedCertificate(t *testing.T) {
	r := newRig(t, text("a 1\n"), func(cfg *Config) { cfg.Client.TLS.CAFile = "" })
	r.page(t, "/metrics").scrape(t.Context())
	r.failed(t, outcomeTLS, "tls.ca_file", "tls.insecure_skip_verify", "unknown authority")

	r = newRig(t, text("a 1\n"), func(cfg *Config) { cfg.Client.TLS.CAFile, cfg.Client.TLS.InsecureSkipVerify = "", true })
	r.page(t, "/metrics").scrape(t.Context())
	series, up := r.sink.last(t)
	if equal(t, series, []string{`{__name__="a"} 1`}); up != "1" {
		t.Errorf("up is %q, want 1", up)
	}
}

func TestWrongNameInCertificate(t *testing.T) {
	r := newRig(t, text("a 1\n"), func(cfg *Config) { cfg.Client.TLS.ServerName = "node-1" })
	r.page(t, "/metrics").scrape(t.Context())
	r.failed(t, outcomeTLS, "tls.server_name_override")
}

func TestClientCertificateIsRefused(t *testing.T) {
	r := newRig(t, text("a 1\n"), nil)
	r.server.TLS.ClientAuth = tls.RequireAnyClientCert
	r.page(t, "/metrics").scrape(t.Context())
	r.failed(t, outcomeTLS, "tls.cert_file")
}

func TestRefusingStatus(t *testing.T) {
	f := func(status int, outcome string, says ...string) {
		t.Helper()
		r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			http.Error(w, "said by the kubelet", status)
		}), nil)
		r.page(t, "/metrics").scrape(t.Context())
		r.failed(t, outcome, append(says, "said by the kubelet", fmt.Sprint(status))...)
	}
	f(http.StatusUnauthorized, outcomeUnauthorized, "token_file")
	f(http.StatusForbidden, outcomeForbidden, "nodes/metrics", `"get"`)
	f(http.StatusNotFound, outcomeStatus, "paths")
	f(http.StatusInternalServerError, outcomeStatus)
	f(http.StatusFound, outcomeStatus) // not followed: the token is for the kubelet alone
}

func TestTokenRotation(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Authorization") != "Bearer second" {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		text("a 1\n")(w, request)
	}), func(cfg *Config) { cfg.TokenFile = token })
	e := r.page(t, "/metrics")
	scrapeWith := func(content, outcome string) {
		t.Helper()
		if content != "" {
			if err := os.WriteFile(token, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		e.scrape(t.Context())
		if n := r.count(t, "crowsnest_kubelet_scrapes", attribute.String("outcome", outcome)); n != 1 {
			t.Errorf("with token %q: %d scrapes counted as %s, want 1", content, n, outcome)
		}
	}
	scrapeWith("", outcomeToken)
	scrapeWith("first\n", outcomeUnauthorized)
	scrapeWith("second\n", outcomeOK)
	if r.logs.FilterMessageSnippet("works again").Len() != 1 {
		t.Error("recovery is not logged once")
	}
	for _, bad := range []string{" \n", "a\nb", strings.Repeat("x", maxTokenBytes+1)} {
		if err := os.WriteFile(token, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readToken(token); err == nil {
			t.Errorf("token of %d bytes is taken", len(bad))
		}
	}
}

func packed(t *testing.T, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestGzip(t *testing.T) {
	answer := packed(t, []byte("a 1\n"))
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(answer)
	}), func(cfg *Config) { cfg.MaxBodyBytes = 1 << 20 })
	e := r.page(t, "/metrics")
	for range 2 {
		e.scrape(t.Context())
		series, _ := r.sink.last(t)
		equal(t, series, []string{`{__name__="a"} 1`})
	}
	answer = packed(t, bytes.Repeat([]byte("# a bomb\n"), 1<<20))
	e.scrape(t.Context())
	r.failed(t, outcomeTooLarge)
	answer = answer[:len(answer)/200]
	e.scrape(t.Context())
	r.failed(t, outcomeRead)
	if cap(e.fetcher.buffer) > 4<<20 {
		t.Errorf("buffer keeps %d bytes", cap(e.fetcher.buffer))
	}
}

func TestUnfitAnswers(t *testing.T) {
	f := func(name, outcome string, answer http.HandlerFunc, says ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			r := newRig(t, answer, func(cfg *Config) { cfg.MaxBodyBytes = 1 << 20 })
			e := r.page(t, "/metrics")
			e.scrape(t.Context())
			r.failed(t, outcome, says...)
		})
	}
	f("announced too large", outcomeTooLarge, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "1048577")
	}, "max_body_bytes (1048576)", "1048577 bytes announced")
	f("endless", outcomeTooLarge, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("a 1\n"), 1000)); err != nil {
				return
			}
		}
	}, "max_body_bytes")
	f("cut off", outcomeRead, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "a 1\n")
	}, "read page")
	f("web page", outcomeContent, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>")
	}, "text/html", "endpoint")
	f("no type", outcomeContent, func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil })
	f("other packing", outcomeContent, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Encoding", "br")
	}, `"br"`)
	f("malformed", outcomeMalformed, text("a 1\nb 2\nc{ 3\nd 4\n"), "line 3 (byte 8)")
	f("OpenMetrics cut off", outcomeMalformed, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text")
		_, _ = io.WriteString(w, "a 1\n")
	}, "# EOF")
}

func TestNoTLS(t *testing.T) {
	plain := httptest.NewServer(text("a 1\n"))
	t.Cleanup(plain.Close)
	r := newRig(t, text(""), nil)
	e := r.page(t, "/metrics")
	e.fetcher.url = strings.Replace(plain.URL, "http:", "https:", 1)
	e.scrape(t.Context())
	r.failed(t, outcomeTLS, "answers without TLS")
}

func TestKubeletGoesDown(t *testing.T) {
	r := newRig(t, text(string(capture(t, "metrics-resource.txt"))), nil)
	e := r.page(t, "/metrics/resource")
	e.scrape(t.Context())
	before, _ := r.sink.last(t)
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
	if n := r.count(t, "crowsnest_kubelet_stale_markers"); n != int64(len(before)) {
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
		return r.count(t, "crowsnest_dropped_items", attribute.String("reason", reason), attribute.String("component", r.settings.ID.String()))
	}
	if dropped(reasonRefused) != points || r.count(t, "crowsnest_received_items") != points {
		t.Errorf("%d dropped of %d received, want %d", dropped(reasonRefused), r.count(t, "crowsnest_received_items"), points)
	}
	r.sink.err = consumererror.NewPermanent(errors.New("never"))
	e.scrape(t.Context())
	if dropped(reasonRefused) != points || r.count(t, "crowsnest_received_items") != points {
		t.Error("a permanent refusal, which others count, was counted")
	}
	// a and b may have been believed in; both are marked until that is taken.
	r.server.Config.Handler = text("a 1\n")
	r.sink.err = errors.New("memory limit")
	e.scrape(t.Context())
	r.sink.err = nil
	e.scrape(t.Context())
	series, _ := r.sink.last(t)
	equal(t, series, []string{`{__name__="a"} 1`, `{__name__="b"} stale`})
}

func TestLimitsAreInTheLedger(t *testing.T) {
	r := newRig(t, text("t 1 0\na 1\nb 1\nc 1\nd 1\n"), func(cfg *Config) { cfg.MaxSeries = 2 })
	r.page(t, "/metrics").scrape(t.Context())
	series, up := r.sink.last(t)
	if equal(t, series, []string{`{__name__="a"} 1`, `{__name__="b"} 1`}); up != "1" {
		t.Errorf("up is %q, want 1", up)
	}
	over := r.count(t, "crowsnest_dropped_items", attribute.String("reason", reasonSeriesLimit))
	bad := r.count(t, "crowsnest_dropped_items", attribute.String("reason", reasonTime))
	if received := r.count(t, "crowsnest_received_items"); over != 2 || bad != 1 || received != 3 {
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
func (l *pipeListener) Close() error   { close(l.closed); return nil }
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
				e.run(ctx, cfg.CollectionInterval, phaseOf("node:10250", i, 2, cfg.CollectionInterval))
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

func TestPhases(t *testing.T) {
	const interval = 15 * time.Second
	phases := map[time.Duration]bool{}
	for i := range 4 {
		phase := phaseOf("10.0.0.1:10250", i, 4, interval)
		if phase != phaseOf("10.0.0.1:10250", i, 4, interval) || phase < 0 || phase >= interval {
			t.Errorf("phase %v", phase)
		}
		phases[phase%(interval/4)] = true
	}
	if len(phases) != 1 {
		t.Errorf("pages are not spread evenly: %v", phases)
	}
	for range 1000 {
		now, phase := time.Unix(0, rand.Int64N(1e18)), time.Duration(rand.Int64N(int64(interval)))
		wait := untilPhase(now, interval, phase)
		if at := now.Add(wait).UnixNano() % int64(interval); wait < 0 || wait >= interval || time.Duration(at) != phase {
			t.Fatalf("at %v wait %v for phase %v", now, wait, phase)
		}
	}
}

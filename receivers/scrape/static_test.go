package scrape

import (
	"compress/gzip"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/collector/consumer/consumererror"

	"github.com/crowsnest-o11y/crowsnest/test/counters"
	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

func addressOfServer(s *httptest.Server) string {
	_, address, _ := strings.Cut(s.URL, "://")
	return address
}

func job1(s *httptest.Server) JobConfig {
	scheme, _, _ := strings.Cut(s.URL, "://")
	return JobConfig{Name: "app", Targets: []string{addressOfServer(s)}, Scheme: scheme}
}

func serve(t testing.TB, h http.Handler) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// registry has every type that client_golang has.
func registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"code"})
	counter.WithLabelValues("200").(prometheus.ExemplarAdder).AddWithExemplar(3, prometheus.Labels{"trace_id": "0123456789abcdef0123456789abcdef"})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "temperature"})
	gauge.Set(-1.5)
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took_seconds", Buckets: []float64{.1, 1, 10}, NativeHistogramBucketFactor: 1.1})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "size_bytes", Objectives: map[float64]float64{.5: .1, .9: .01}})
	for i := range 100 {
		histogram.Observe(float64(i) / 7)
		summary.Observe(float64(i))
	}
	untyped := prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "untyped"}, func() float64 { return 7 })
	r.MustRegister(counter, gauge, histogram, summary, untyped)
	return r
}

func TestEveryTypeOfClientGolang(t *testing.T) {
	for name, openMetrics := range map[string]bool{"text": false, "openmetrics": true} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, promhttp.HandlerFor(registry(), promhttp.HandlerOpts{EnableOpenMetrics: openMetrics}))
			r := newRig(t, func(c *Config) { c.Jobs = []JobConfig{job1(s)} })
			eventually(t, "a scrape", func() bool { return len(r.store.live(`__name__="up"`)) == 1 })
			request, _ := http.NewRequest(http.MethodGet, s.URL, nil)
			if openMetrics {
				request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			var wanted []string
			for _, line := range want(t, string(body), answer.Header.Get("Content-Type"), r.staticTargets()[0].labels) {
				wanted = append(wanted, line[:strings.LastIndexByte(line, ' ')])
			}
			var got []string
			for _, line := range r.store.lines() {
				if !strings.Contains(line, `__name__="up"`) {
					got = append(got, line)
				}
			}
			samples.Equal(t, got, wanted)
		})
	}
}

// What OpenTelemetry's SDK exposes has dots, as target_info of our own programs.
func TestEscapingOfNames(t *testing.T) {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "target_info"}, []string{"service.name", "service.version"})
	info.WithLabelValues("crowsnest-agent", "1.2.3").Set(1)
	registry.MustRegister(info)
	s := serve(t, promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	for scheme, want := range map[string]string{
		"":            `"service.version"="1.2.3"`,
		"allow-utf-8": `"service.version"="1.2.3"`,
		"underscores": `service_version="1.2.3"`,
	} {
		j := job1(s)
		j.MetricNameEscapingScheme = scheme
		r := newRig(t, func(c *Config) { c.Jobs = []JobConfig{j} })
		eventually(t, "labels by scheme "+scheme, func() bool { return len(r.store.live(`"target_info"`, want)) == 1 })
	}
}

func TestNativeHistograms(t *testing.T) {
	s := serve(t, promhttp.HandlerFor(registry(), promhttp.HandlerOpts{}))
	r := newRig(t, func(c *Config) { c.Jobs, c.NativeHistograms = []JobConfig{job1(s)}, true })
	eventually(t, "a native histogram", func() bool { return len(r.store.live(`__name__="took_seconds"`, "native=")) == 1 })
	if buckets := r.store.live(`__name__="took_seconds_bucket"`); len(buckets) != 0 {
		t.Errorf("both kinds: %v", buckets)
	}
	for _, m := range r.store.last.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Name() != "took_seconds" {
			continue
		}
		p := m.ExponentialHistogram().DataPoints().At(0)
		sum := p.ZeroCount()
		for _, n := range p.Positive().BucketCounts().All() {
			sum += n
		}
		if p.Count() != 100 || sum != 100 || p.StartTimestamp() == 0 {
			t.Errorf("count %d, buckets %d, start %d", p.Count(), sum, p.StartTimestamp())
		}
	}
}

func TestTLSAndToken(t *testing.T) {
	var token atomic.Value
	token.Store("first")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token.Load().(string) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(text, "a 1\n")(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	ca, tokenFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	write(t, tokenFile, "first")
	j := job1(s)
	j.TokenFile = tokenFile
	j.TLS = TLSConfig{CAFile: ca, ServerName: "example.com"}
	r := newRig(t, func(c *Config) { c.Jobs = []JobConfig{j} })
	eventually(t, "a scrape", func() bool { return len(r.store.live(`__name__="a"`)) == 1 })
	token.Store("second")
	r.failed(t, outcomeUnauthorized, "401")
	write(t, tokenFile, "second")
	eventually(t, "the rotated token", func() bool { return len(r.store.live(`__name__="a"`)) == 1 })
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDistrustedCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(answer(text, "a 1\n"))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	r := newRig(t, func(c *Config) { c.Jobs = []JobConfig{job1(s)} })
	r.failed(t, outcomeTLS, "certificate")
}

// Each hostile page costs its own scrape, is told of, and nothing else.
func TestHostilePages(t *testing.T) {
	endless := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", text)
		for n := 0; ; n++ {
			if _, err := fmt.Fprintf(w, "a{n=\"%d\"} 1\n", n); err != nil {
				return
			}
		}
	}
	bomb := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", text)
		w.Header().Set("Content-Encoding", "gzip")
		packer := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 64 {
			_, _ = packer.Write(zeros)
		}
		_ = packer.Close()
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		outcome string
		says    string
	}{
		"endless":   {endless, outcomeBodyLimit, "larger than the limit"},
		"gzip bomb": {bomb, outcomeBodyLimit, "larger than the limit"},
		"broken gzip": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			answer(text, "a 1\n")(w, r)
		}, outcomeRead, "gzip"},
		"garbage":      {answer(text, "\x00\x01<html>"), outcomeMalformed, "whole page is refused"},
		"page of HTML": {answer("text/html", "<html></html>"), outcomeMalformed, ""},
		"hanging":      {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, outcomeTimeout, "no whole answer"},
		"samples":      {answer(text, strings.Repeat("a 1\n", 101)), outcomeSampleLimit, "more samples than the limit"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, outcomeStatus, "302"},
		"error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }, outcomeStatus, "500"},
		"brotli": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			answer(text, "a 1\n")(w, r)
		}, outcomeContent, "br"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := stoppedRig(t)
			j := r.job("hostile", sourceStatic)
			j.limits.samples, j.maxBody, j.timeout = 100, 1<<20, 5*time.Minute
			if c.outcome == outcomeTimeout {
				j.timeout = 50 * time.Millisecond
			}
			s := r.scraper(t, j, serve(t, c.handler))
			s.scrape(t.Context())
			if up := r.store.lines(`__name__="up"`); len(up) != 1 || !strings.HasSuffix(up[0], " 0") {
				t.Errorf("%v", up)
			}
			if n := counters.Sum(t, r.telemetry, "crowsnest_scrape_scrapes", "outcome", c.outcome); n != 1 {
				t.Errorf("%d scrapes are %s: %v", n, c.outcome, r.logs.All())
			}
			if logged := fmt.Sprint(r.logs.All()); !strings.Contains(logged, c.says) {
				t.Errorf("log does not say %q: %s", c.says, logged)
			}
			if n := r.env.bodies.used.Load(); n != 0 {
				t.Errorf("%d bytes are not given back", n)
			}
			if dropped := counters.Sum(t, r.telemetry, "crowsnest_dropped_items", "reason", outcomeSampleLimit); (dropped >= 100) != (c.outcome == outcomeSampleLimit) {
				t.Errorf("%d samples are dropped in the ledger", dropped)
			}
		})
	}
}

func TestPagesInFlightAreBounded(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", text)
		_, _ = io.WriteString(w, "# "+strings.Repeat("x", 100<<10))
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release) })
	r := newRig(t, func(c *Config) {
		c.Interval, c.Timeout = time.Second, time.Second
		c.Limits.BodyBytes, c.MaxPageBytes = 200<<10, 300<<10
		for i := range 8 {
			j := job1(s)
			j.Name = fmt.Sprint("app", i)
			c.Jobs = append(c.Jobs, j)
		}
	})
	r.failed(t, outcomeMemory, "pages in flight")
}

func TestRefusedScrapesAreCounted(t *testing.T) {
	s := serve(t, answer(text, "a 1\nb 2\n"))
	r := newRig(t, func(c *Config) { c.Jobs = []JobConfig{job1(s)} })
	r.store.mu.Lock()
	r.store.err = fmt.Errorf("full")
	r.store.mu.Unlock()
	eventually(t, "a refusal in the ledger", func() bool {
		return counters.Sum(t, r.telemetry, "crowsnest_dropped_items", "reason", reasonRefused) > 0
	})
	r.store.mu.Lock()
	r.store.err = consumererror.NewPermanent(fmt.Errorf("bad"))
	r.store.mu.Unlock()
	eventually(t, "a rejection", func() bool { return r.logs.FilterMessageSnippet("rejected").Len() > 0 })
	r.store.mu.Lock()
	r.store.err = nil
	r.store.mu.Unlock()
	eventually(t, "a scrape", func() bool { return len(r.store.live(`__name__="a"`)) == 1 })
}

// A job that may be out of reach has no up until it answered, but says why.
func TestOptionalJobs(t *testing.T) {
	var open atomic.Bool
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !open.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		answer(text, "a 1\n")(w, r)
	}))
	j := job1(s)
	j.Optional = true
	r := newRig(t, func(c *Config) { c.Jobs = []JobConfig{j} })
	eventually(t, "scrapable", func() bool { return len(r.store.live(scrapable, `reason="forbidden"`)) == 1 })
	if up := r.store.live(`__name__="up"`); len(up) != 0 {
		t.Errorf("%v", up)
	}
	open.Store(true)
	eventually(t, "up", func() bool { return len(r.store.live(`__name__="up"`)) == 1 })
	if told := r.store.live(scrapable); len(told) != 1 || strings.Contains(fmt.Sprint(told), "reason") {
		t.Errorf("%v", told)
	}
	open.Store(false)
	eventually(t, "down", func() bool {
		return r.store.live(`__name__="up"`)[`{__name__="up", instance="`+j.Targets[0]+`", job="app", node="node-1"}`] == "0"
	})
}

// A job whose files are missing is down, not absent, until they are there.
func TestMissingFiles(t *testing.T) {
	s := serve(t, answer(text, "a 1\n"))
	j := job1(s)
	j.TLS.CAFile = filepath.Join(t.TempDir(), "ca.crt")
	r := newRig(t, func(c *Config) { c.Jobs = []JobConfig{j} })
	r.failed(t, outcomeCredentials, "ca.crt", "mounted")
	stopped := stoppedRig(t)
	p := newPool(stopped.env)
	static := r.staticTargets()
	p.sync(t.Context(), static)
	if p.complete() {
		t.Error("complete without the file")
	}
	write(t, j.TLS.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: httptestCertificate(t)})))
	p.sync(t.Context(), static)
	if !p.complete() {
		t.Error("not tried again")
	}
	eventually(t, "up", func() bool { return len(stopped.store.live(`__name__="a"`)) == 1 })
	p.sync(t.Context(), nil)
	p.stop()
}

func httptestCertificate(t testing.TB) []byte {
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	return s.Certificate().Raw
}

package scrape_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	promexporter "github.com/crowsnest-o11y/crowsnest/exporters/prometheus"
	"github.com/crowsnest-o11y/crowsnest/kubemeta"
	"github.com/crowsnest-o11y/crowsnest/pipeline/kubeattrs"
	"github.com/crowsnest-o11y/crowsnest/receivers/scrape"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// host has one extension: the pods of this node.
type host struct{ cache *kubemeta.Cache }

type pods struct {
	component.StartFunc
	component.ShutdownFunc
	cache *kubemeta.Cache
}

func (p pods) Cache() *kubemeta.Cache { return p.cache }

func (h host) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{component.MustNewID("kubepods"): pods{cache: h.cache}}
}

func run(t *testing.T, c component.Component, h component.Host) {
	t.Helper()
	if err := c.Start(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func configure(t *testing.T, cfg component.Config, written map[string]any) {
	t.Helper()
	if err := confmap.NewFromStringMap(written).Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
}

// pipeline is kubeattrs and the exporter to a real Prometheus.
func pipeline(t *testing.T, store *stores.Prometheus, cache *kubemeta.Cache) consumer.Metrics {
	t.Helper()
	exporters := promexporter.NewFactory()
	cfg := exporters.CreateDefaultConfig()
	configure(t, cfg, map[string]any{"remote_write": map[string]any{"endpoint": store.URL + "/api/v1/write"}})
	exporter, err := exporters.CreateMetrics(t.Context(), exportertest.NewNopSettings(exporters.Type()), cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, exporter, componenttest.NewNopHost())
	processors := kubeattrs.NewFactory()
	cfg = processors.CreateDefaultConfig()
	configure(t, cfg, map[string]any{"pods": "kubepods", "node": "node-1", "cluster": "test"})
	processor, err := processors.CreateMetrics(t.Context(), processortest.NewNopSettings(processors.Type()), cfg, exporter)
	if err != nil {
		t.Fatal(err)
	}
	run(t, processor, host{cache})
	return processor
}

// seriesOf waits until the store's up of the selector is 1 and gives its
// series without the labels that say who scraped.
func seriesOf(t *testing.T, store *stores.Prometheus, selector string, without ...string) (lines []string) {
	t.Helper()
	for {
		up, err := store.Query(t.Context(), "up"+selector+" == 1")
		if err != nil {
			t.Fatal(err)
		}
		if len(up) == 1 {
			break
		}
		time.Sleep(100 * time.Millisecond) // ends with the test's own time limit
	}
	samples, err := store.Query(t.Context(), selector)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		name := s.Labels["__name__"]
		if name == "up" || strings.HasPrefix(name, "scrape_") {
			continue
		}
		for _, label := range without {
			delete(s.Labels, label)
		}
		lines = append(lines, fmt.Sprintf("%s %v", labels.FromMap(s.Labels), s.Value))
	}
	slices.Sort(lines)
	return lines
}

const odd = `# TYPE "http.requests" counter
{"http.requests","the.path"="/"} 3
# TYPE half_seconds histogram
half_seconds_bucket{le="1"} 1
half_seconds_sum 1
half_seconds_count 2
# TYPE gone_bucket_seconds histogram
gone_bucket_seconds_bucket{le="+Inf"} 2
gone_bucket_seconds_count 2
loose{empty="",le="1"} NaN
`

func clientGolang() http.Handler {
	r := prometheus.NewRegistry()
	histogram := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "took_seconds", Help: "Time."}, []string{"code"})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "size_bytes", Objectives: map[float64]float64{.5: .1, .9: .01}})
	empty := prometheus.NewSummary(prometheus.SummaryOpts{Name: "never_seconds", Objectives: map[float64]float64{.5: .1}})
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "requests_total"})
	counter.Add(7)
	for i := range 100 {
		histogram.WithLabelValues(fmt.Sprint(i % 3)).Observe(float64(i) / 7)
		summary.Observe(float64(i))
	}
	r.MustRegister(histogram, summary, empty, counter)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: false})
}

func text(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; escaping=allow-utf-8")
		_, _ = w.Write([]byte(body))
	})
}

// TestSameSeriesAsPrometheus lets a real Prometheus scrape pages, and the
// receiver scrape the same and write them into it: what it has must be the same.
func TestSameSeriesAsPrometheus(t *testing.T) {
	capture, err := os.ReadFile("testdata/kube-apiserver-metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, h := range []http.Handler{clientGolang(), text(odd), text(string(capture))} {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		addresses = append(addresses, strings.TrimPrefix(s.URL, "http://"))
	}
	store := stores.TestPrometheus(t, stores.Options{ScrapeTargets: addresses})
	cache := kubemeta.NewCache()
	next := pipeline(t, store, cache)
	factory := scrape.NewFactory()
	cfg := factory.CreateDefaultConfig()
	configure(t, cfg, map[string]any{"interval": "1s", "timeout": "1s", "jobs": []any{
		map[string]any{"name": "ours", "targets": addresses, "honor_labels": true},
	}})
	receiver, err := factory.CreateMetrics(t.Context(), receivertest.NewNopSettings(factory.Type()), cfg, next)
	if err != nil {
		t.Fatal(err)
	}
	run(t, receiver, host{cache})
	for _, address := range addresses {
		ours := seriesOf(t, store, fmt.Sprintf(`{job="ours",instance=%q}`, address), "job", "instance", "cluster")
		theirs := seriesOf(t, store, fmt.Sprintf(`{job!="ours",instance=%q}`, address), "job", "instance")
		if diff := cmp.Diff(theirs, ours); diff != "" || len(ours) == 0 {
			t.Errorf("%s: %.4000s", address, diff)
		}
	}
}

// TestApplicationsOTLP: what a pod sends by OTLP has, in Prometheus, the
// identity of its pod and the job of its service.
func TestApplicationsOTLP(t *testing.T) {
	store := stores.TestPrometheus(t, stores.Options{})
	cache := kubemeta.NewCache()
	cache.Replace([]*kubemeta.Pod{{
		UID: "uid-1", Namespace: "shop", Name: "web-1", NodeName: "node-1", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.7")},
		Containers: []kubemeta.Container{{Name: "main", ID: "c1"}}, Workload: kubemeta.Owner{Kind: "Deployment", Name: "web"},
	}})
	next := pipeline(t, store, cache)
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "checkout")
	rm.Resource().Attributes().PutStr("k8s.pod.uid", "uid-1")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("http.server.request.duration")
	m.SetUnit("s")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := h.DataPoints().AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	p.SetCount(3)
	p.SetSum(1.5)
	p.ExplicitBounds().FromRaw([]float64{1})
	p.BucketCounts().FromRaw([]uint64{2, 1})
	p.Attributes().PutStr("http.request.method", "GET")
	if err := next.ConsumeMetrics(t.Context(), md); err != nil {
		t.Fatal(err)
	}
	samples, err := store.Query(t.Context(), "http_server_request_duration_seconds_count")
	if err != nil || len(samples) != 1 {
		t.Fatalf("%v, %v", samples, err)
	}
	want := map[string]string{
		"__name__": "http_server_request_duration_seconds_count", "cluster": "test", "node": "node-1",
		"namespace": "shop", "pod": "web-1", "container": "main", "job": "shop/checkout",
		"instance": "shop.web-1.main", "http_request_method": "GET",
	}
	if diff := cmp.Diff(want, samples[0].Labels); diff != "" || samples[0].Value != 3 {
		t.Error(diff, samples[0].Value)
	}
}

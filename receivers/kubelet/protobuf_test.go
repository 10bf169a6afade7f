package kubelet

import (
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/model/histogram"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

// programPage is a program's page as Kubernetes' own library makes it, with
// histograms that are classic and native, in the format that is asked for.
func programPage(t testing.TB) (*prometheus.HistogramVec, http.Handler) {
	t.Helper()
	registry := prometheus.NewRegistry()
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kubelet_pleg_relist_duration_seconds", Help: "Duration.", Buckets: []float64{.01, .1, 1},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
	}, []string{"operation"})
	total := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"code"})
	running := prometheus.NewGauge(prometheus.GaugeOpts{Name: "kubelet_running_pods", Help: "Pods."})
	gc := prometheus.NewSummary(prometheus.SummaryOpts{Name: "go_gc_duration_seconds", Help: "Pauses.", Objectives: map[float64]float64{.5: .01}})
	registry.MustRegister(durations, total, running, gc)
	for i := range 100 {
		durations.WithLabelValues("list").Observe(float64(i) / 50)
		durations.WithLabelValues("sync").Observe(-float64(i))
	}
	durations.WithLabelValues("list").Observe(0)
	total.WithLabelValues("200").Add(5)
	running.Set(3)
	gc.Observe(1)
	return durations, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// natives are the native histograms of a scrape by the label "operation".
func natives(md pmetric.Metrics) map[string]pmetric.ExponentialHistogramDataPoint {
	found := map[string]pmetric.ExponentialHistogramDataPoint{}
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Type() == pmetric.MetricTypeExponentialHistogram {
			for _, p := range m.ExponentialHistogram().DataPoints().All() {
				operation, _ := p.Attributes().Get("operation")
				found[operation.Str()] = p
			}
		}
	}
	return found
}

func TestNativeHistograms(t *testing.T) {
	durations, handler := programPage(t)
	r := newRig(t, handler, func(c *Config) { c.NativeHistograms = true })
	e := r.page(t, "/metrics")
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var classic []string
	for _, line := range want(t, response.Body.String(), false) {
		classic = append(classic, line[:strings.LastIndexByte(line, ' ')])
	}
	for range 3 { // the buffer is used again
		e.scrape(t.Context())
		series, up := r.sink.last(t)
		if up != "1" {
			t.Fatalf("up is %s: %v", up, r.logs.All())
		}
		samples.Equal(t, series, classic)
		got := natives(r.sink.got[len(r.sink.got)-1])
		checkBuckets(t, got["list"], 101, 99)
		if n := got["sync"]; n.Count() != 100 || n.Negative().BucketCounts().Len() == 0 || n.Positive().BucketCounts().Len() != 0 {
			t.Errorf("histogram of negative values is %d, %d, %d", n.Count(), n.Negative().BucketCounts().Len(), n.Positive().BucketCounts().Len())
		}
	}

	durations.DeleteLabelValues("list")
	e.scrape(t.Context())
	got := natives(r.sink.got[len(r.sink.got)-1])
	if !got["list"].Flags().NoRecordedValue() || got["sync"].Flags().NoRecordedValue() {
		t.Error("the one that is gone has no marker, or the other one has")
	}
	e.scrape(t.Context())
	if _, ok := natives(r.sink.got[len(r.sink.got)-1])["list"]; ok {
		t.Error("the one that is gone came again")
	}
	r.server.Close()
	e.scrape(t.Context())
	if got := natives(r.sink.got[len(r.sink.got)-1]); !got["sync"].Flags().NoRecordedValue() {
		t.Error("no marker after the kubelet went")
	}
}

// checkBuckets checks that the observations 0, 0.02, 0.04 … are where the
// definition of the buckets has them.
func checkBuckets(t *testing.T, p pmetric.ExponentialHistogramDataPoint, count, positive uint64) {
	t.Helper()
	sum := uint64(0)
	base := math.Exp2(math.Exp2(-float64(p.Scale())))
	for i, n := range p.Positive().BucketCounts().All() {
		low := math.Pow(base, float64(int(p.Positive().Offset())+i))
		expected := uint64(0)
		for k := 1; k < 100; k++ {
			if v := float64(k) / 50; v > low*(1+1e-12) && v <= low*base*(1+1e-12) {
				expected++
			}
		}
		if n != expected {
			t.Errorf("bucket (%v, %v] has %d observations, want %d", low, low*base, n, expected)
		}
		sum += n
	}
	if p.Count() != count || sum != positive || p.ZeroCount() != count-positive || math.Abs(p.Sum()-99) > 1e-9 {
		t.Errorf("count is %d, positive %d, zero %d, sum %v", p.Count(), sum, p.ZeroCount(), p.Sum())
	}
}

// TestTextWithoutNative has a kubelet that speaks text only asked for both.
func TestTextWithoutNative(t *testing.T) {
	body := string(capture(t, "metrics-probes.txt"))
	r := newRig(t, text(body), func(c *Config) { c.NativeHistograms = true })
	e := r.page(t, "/metrics/probes")
	e.scrape(t.Context())
	if series, up := r.sink.last(t); up != "1" || len(series) != len(want(t, body, false)) {
		t.Errorf("up is %s, %d series", up, len(series))
	}
}

// TestNotAskedFor gives text to whoever does not ask for more.
func TestNotAskedFor(t *testing.T) {
	_, handler := programPage(t)
	r := newRig(t, handler, nil)
	e := r.page(t, "/metrics")
	e.scrape(t.Context())
	if _, up := r.sink.last(t); up != "1" || len(natives(r.sink.got[0])) != 0 {
		t.Errorf("up is %s, or there are native histograms", up)
	}
}

func TestDense(t *testing.T) {
	for name, test := range map[string]struct {
		spans  []histogram.Span
		deltas []int64
		want   buckets
		ok     bool
	}{
		"none":     {nil, nil, buckets{}, true},
		"gap":      {[]histogram.Span{{Offset: -2, Length: 2}, {Offset: 3, Length: 1}}, []int64{1, 2, -1}, buckets{-3, []uint64{1, 3, 0, 0, 0, 2}}, true},
		"too many": {[]histogram.Span{{Length: 1}, {Offset: 1 << 30, Length: 1}}, []int64{1, 1}, buckets{}, false},
		"longer":   {[]histogram.Span{{Length: 1 << 31}}, []int64{1}, buckets{}, false},
		"negative": {[]histogram.Span{{Length: 1}}, []int64{-1}, buckets{}, false},
		"backward": {[]histogram.Span{{Length: 1}, {Offset: -1, Length: 1}}, []int64{1, 1}, buckets{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := dense(test.spans, test.deltas)
			if ok != test.ok || ok && (got.offset != test.want.offset && got.counts != nil || !slices.Equal(got.counts, test.want.counts)) {
				t.Errorf("got %v, %v, want %v, %v", got, ok, test.want, test.ok)
			}
		})
	}
}

// FuzzProtobuf reads any bytes as a page without end or panic, twice.
func FuzzProtobuf(f *testing.F) {
	_, handler := programPage(f)
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", acceptProtobuf)
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	f.Add(response.Body.Bytes())
	f.Fuzz(func(t *testing.T, body []byte) {
		p := newPage(1000, nil)
		for range 2 {
			p.begin(scrapeTime)
			failed := parseAll(p, slices.Clone(body), formatProtobuf) != nil
			if failed {
				p.begin(scrapeTime)
				p.vanish()
			} else {
				p.sweep()
			}
			writeAll(p, pmetric.NewMetricSlice())
			p.commit(true, failed)
		}
	})
}

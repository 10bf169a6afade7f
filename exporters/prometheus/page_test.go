package prometheus

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func settings() exporter.Settings { return exportertest.NewNopSettings(NewFactory().Type()) }

const acceptOpenMetrics = "application/openmetrics-text;version=1.0.0"

func pageMetrics() pmetric.Metrics {
	return metrics(func(ms pmetric.MetricSlice) {
		dp := addHistogram(ms, "h", "", []float64{1}, []uint64{1, 2}, 9, 5, "a=1")
		ms.At(0).SetDescription("A histogram.")
		x := dp.Exemplars().AppendEmpty()
		x.SetDoubleValue(0.5)
		x.SetTimestamp(at(1500))
		x.SetTraceID(pcommon.TraceID{0xab})
		addCounter(ms, "kubelet_evictions", "", 3, 5)
		exposition(ms, "counter")
		addCounter(ms, "good_total", "", 4, 5)
		exposition(ms, "counter")
		addGauge(ms, "nan", "", math.NaN(), 5)
		addGauge(ms, "info_thing", "", 1, 5, `quote="x\`)
		exposition(ms, "info")
		addGauge(ms, "unknown_thing", "", 2, 5)
		exposition(ms, "unknown")
		s := ms.AppendEmpty()
		s.SetName("s")
		q := s.SetEmptySummary().DataPoints().AppendEmpty()
		q.SetCount(2)
		q.SetSum(3)
		v := q.QuantileValues().AppendEmpty()
		v.SetQuantile(0.5)
		v.SetValue(1.25)
	})
}

func TestPageAsText(t *testing.T) {
	e := start(t, withPage)
	e.mustConsume(pageMetrics())
	want := `# HELP good_total 
# TYPE good_total counter
good_total 4
# HELP h A histogram.
# TYPE h histogram
h_bucket{a="1",le="1"} 1
h_bucket{a="1",le="+Inf"} 3
h_sum{a="1"} 9
h_count{a="1"} 3
# HELP info_thing 
# TYPE info_thing gauge
info_thing{quote="\"x\\"} 1
# HELP kubelet_evictions 
# TYPE kubelet_evictions counter
kubelet_evictions 3
# HELP nan 
# TYPE nan gauge
nan NaN
# HELP s 
# TYPE s summary
s{quantile="0.5"} 1.25
s_sum 3
s_count 2
# HELP unknown_thing 
# TYPE unknown_thing untyped
unknown_thing 2
`
	if diff := cmp.Diff(want, get(t, e, "text/plain")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e.wantLedger(7, nil)
}

func TestPageAsOpenMetrics(t *testing.T) {
	e := start(t, withPage)
	e.mustConsume(pageMetrics())
	page := get(t, e, acceptOpenMetrics)
	for _, line := range []string{
		`h_bucket{a="1",le="1.0"} 1 # {trace_id="ab000000000000000000000000000000"} 0.5 1.5`,
		`# TYPE good counter`, `good_total 4.0`,
		// Its name would become kubelet_evictions_total, which no rule reads.
		`# TYPE kubelet_evictions unknown`, `kubelet_evictions 3.0`,
		`# EOF`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("page lacks %q:\n%s", line, page)
		}
	}
}

func TestSeriesLeaveThePage(t *testing.T) {
	e := start(t, withPage, func(c *Config) { c.ExpireAfter = time.Second })
	e.mustConsume(pageMetrics())
	e.mustConsume(metrics(func(ms pmetric.MetricSlice) {
		addHistogram(ms, "h", "", nil, nil, 0, 6, "a=1").SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	}))
	if page := get(t, e, "text/plain"); strings.Contains(page, "h_bucket") {
		t.Errorf("stale series on the page:\n%s", page)
	}
	eventually(t, "all series expire", func() error {
		if page := get(t, e, "text/plain"); page != "" {
			return errors.New("still there")
		}
		return nil
	})
	e.wantLedger(8, nil)
}

func TestPageAloneDropsWhatItCannotShow(t *testing.T) {
	e := start(t, withPage, func(c *Config) { c.MaxBytes = 1000 })
	e.mustConsume(metrics(func(ms pmetric.MetricSlice) {
		gauge(1, 5)(ms)
		addHistogram(ms, "g", "", nil, nil, 2, 5, "other=type")
		gauge(3, 5, "long="+strings.Repeat("x", 1000))(ms)
	}))
	if page := get(t, e, "text/plain"); page != "# HELP g \n# TYPE g gauge\ng 1\n" {
		t.Errorf("page:\n%s", page)
	}
	e.wantLedger(1, map[string]int64{reasonTypeConflict: 1, reasonSeriesLimit: 1})
	if got := e.logs.FilterMessageSnippet("found no place").Len(); got != 2 {
		t.Errorf("%d log lines, want 2", got)
	}
}

func TestPageRefusesBadAddress(t *testing.T) {
	e := start(t, withPage)
	cfg := createDefaultConfig().(*Config)
	withPage(cfg)
	cfg.Scrape.Get().NetAddr.Endpoint = e.addr.String()
	second, err := newMetricsExporter(settings(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.start(t.Context(), componenttest.NewNopHost()); err == nil || !strings.Contains(err.Error(), "scrape::endpoint "+e.addr.String()) {
		t.Errorf("start on a taken port: %v", err)
	}
	if err := second.shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

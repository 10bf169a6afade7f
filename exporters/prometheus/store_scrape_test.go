package prometheus

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

func TestStoreScrapesThePage(t *testing.T) {
	e := start(t, withPage)
	now := time.Now().UnixMilli()
	e.mustConsume(cadvisorPage(t, time.Now()))
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=a", "service.namespace=shop", "service.instance.id=i", "service.version=1.2", "k8s.namespace.name=shop")
	dp := addHistogram(ms, "rpc.duration", "s", []float64{1, 2, 4}, []uint64{0, 10, 0, 0}, 15, now)
	ms.At(0).SetDescription("Calls.")
	x := dp.Exemplars().AppendEmpty()
	x.SetDoubleValue(1.5)
	x.SetTimestamp(at(now))
	x.SetTraceID(pcommon.TraceID{0xab})
	addNative(ms, "native.duration", "s", 3, -8, []uint64{4, 4, 4, 4}, 7, now)
	addCounter(ms, "kubelet_evictions", "", 3, now)
	exposition(ms, "counter")
	e.mustConsume(md)
	p := stores.TestPrometheus(t, stores.Options{ScrapeTargets: []string{e.addr.String()}})

	want := map[string]float64{}
	for _, p := range translate(cadvisorPage(t, time.Now()), 0).points {
		want[renderLabels(unpack(p.labels))] = p.value
	}
	eventually(t, "the page in Prometheus", func() error {
		got := map[string]float64{}
		for _, s := range instant(t, p, `{metrics_path="/metrics/cadvisor"}`) {
			got[seriesName(s.Labels)] = s.Value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
	const labels = `job="shop/a",instance="i",namespace="shop"`
	eventuallyValue(t, p, `histogram_quantile(0.5, rpc_duration_seconds_bucket{`+labels+`})`, 1.5)
	eventuallyValue(t, p, `rpc_duration_seconds_bucket{le="2.0",`+labels+`}`, 10)
	eventuallyValue(t, p, `histogram_count(native_duration_seconds{`+labels+`})`, 16)
	eventuallyValue(t, p, `kubelet_evictions{job="a"}`, 3)
	eventuallyValue(t, p, `target_info{service_version="1.2",`+labels+`}`, 1)
	eventuallyMetadata(t, p, "rpc_duration_seconds", "histogram", "Calls.")
	eventuallyMetadata(t, p, "container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.")
	eventuallyMetadata(t, p, "kubelet_evictions", "counter", "")

	stale := pmetric.NewMetrics()
	ms = resourceMetrics(stale, "service.name=a", "service.namespace=shop", "service.instance.id=i", "k8s.namespace.name=shop")
	addHistogram(ms, "rpc.duration", "s", nil, nil, 0, now+1).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	e.mustConsume(stale)
	eventually(t, "the histogram ends", func() error {
		// With the rest of the page there, or it would be a failed scrape.
		got := instant(t, p, `{__name__=~"rpc_duration_seconds.*|kubelet_evictions"}`)
		if len(got) != 1 || got[0].Labels[nameLabel] != "kubelet_evictions" {
			return fmt.Errorf("%v, want kubelet_evictions alone", got)
		}
		return nil
	})
}

// eventuallyValue allows for a scrape that a busy machine did not answer in a
// second: Prometheus then ends all series of the page until the next one.
func eventuallyValue(t *testing.T, p *stores.Prometheus, expr string, want float64) {
	t.Helper()
	eventually(t, expr, func() error {
		if got := instant(t, p, expr); len(got) != 1 || math.Abs(got[0].Value-want) > 1e-9 {
			return fmt.Errorf("%v, want %v", got, want)
		}
		return nil
	})
}

func eventuallyMetadata(t *testing.T, p *stores.Prometheus, name, typ, help string) {
	t.Helper()
	var answer struct {
		Data map[string][]struct{ Type, Help string }
	}
	eventually(t, "metadata of "+name, func() error {
		if err := p.Get(t.Context(), "/api/v1/metadata", url.Values{"metric": {name}}, &answer); err != nil {
			return err
		}
		if m := answer.Data[name]; len(m) != 1 || m[0].Type != typ || m[0].Help != help {
			return fmt.Errorf("%+v, want %s %q", m, typ, help)
		}
		return nil
	})
}

// get reads the page in one of its formats.
func get(t *testing.T, e *running, accept string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.addr.String()+pagePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %s: %v: %s", resp.Status, err, body)
	}
	return string(body)
}

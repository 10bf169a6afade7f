package scrape

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// application is a page of n series such as applications have: counters,
// gauges and histograms of twelve buckets.
func application(n int) string {
	var b strings.Builder
	left := n
	for family := 0; left > 0; family++ {
		switch family % 3 {
		case 0:
			fmt.Fprintf(&b, "# HELP app_requests_%d_total Requests that were served.\n# TYPE app_requests_%d_total counter\n", family, family)
			for i := 0; i < 10 && left > 0; i++ {
				fmt.Fprintf(&b, "app_requests_%d_total{method=\"GET\",code=\"%d\",handler=\"/api/v1/items\"} %d\n", family, 200+i, i*family)
				left--
			}
		case 1:
			fmt.Fprintf(&b, "# HELP app_queue_%d_length Length of a queue.\n# TYPE app_queue_%d_length gauge\napp_queue_%d_length{queue=\"main\"} 3\n", family, family, family)
			left--
		case 2:
			name := fmt.Sprintf("app_took_%d_seconds", family)
			fmt.Fprintf(&b, "# HELP %s Time to serve.\n# TYPE %s histogram\n", name, name)
			for _, le := range []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"} {
				fmt.Fprintf(&b, "%s_bucket{handler=\"/api/v1/items\",le=\"%s\"} %d\n", name, le, family)
			}
			fmt.Fprintf(&b, "%s_sum{handler=\"/api/v1/items\"} 1.5\n%s_count{handler=\"/api/v1/items\"} %d\n", name, name, family)
			left -= 14
		}
	}
	return b.String()
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What 50 targets of 1,000 series hold between two scrapes; the estimate that
// bounds it must not be less than it is by much.
func TestHeapOf50Targets(t *testing.T) {
	body := application(1000)
	before := heap()
	var targets []bench
	series := 0
	var estimated int64
	for range 50 {
		b := newBench(&job{})
		b.scrapeAt(t, scrapeTime, body, text)
		b.scrapeAt(t, scrapeTime+1000, body, text)
		targets = append(targets, b)
		series += len(b.page.byID)
		estimated += b.page.held
	}
	used := int64(heap() - before)
	t.Logf("%d series of %d targets hold %d KiB, %d bytes each; estimated %d KiB", series, len(targets), used>>10, used/int64(series), estimated>>10)
	if used/int64(series) > 800 || estimated < used*2/3 {
		t.Errorf("%d bytes per series, estimated %d", used/int64(series), estimated/int64(series))
	}
	runtime.KeepAlive(targets)
}

func BenchmarkPage(b *testing.B) {
	for name, body := range map[string]string{"application": application(1000), "apiserver": capture(b, "kube-apiserver-metrics.txt")} {
		b.Run(name, func(b *testing.B) {
			p := newBench(&job{})
			p.scrapeAt(b, scrapeTime, body, text)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var md pmetric.Metrics
			for n := 0; b.Loop(); n++ {
				md = p.scrapeAt(b, scrapeTime+int64(n), body, text)
			}
			b.ReportMetric(float64(len(p.page.byID))*float64(b.N)/b.Elapsed().Seconds(), "series/s")
			runtime.KeepAlive(md)
		})
	}
}

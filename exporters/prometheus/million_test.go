package prometheus

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// kubeletPage is the page of one node of many: 110 pods x 3 cgroups x 40 metrics
// with cAdvisor's labels, 13,200 series.
func kubeletPage(node int) pmetric.Metrics {
	md := nodePage()
	md.ResourceMetrics().At(0).Resource().Attributes().PutStr("k8s.node.name", "node-"+strconv.Itoa(node))
	md.ResourceMetrics().At(0).Resource().Attributes().PutStr("service.instance.id", fmt.Sprintf("10.0.%d.%d:10250", node/256, node%256))
	eachNumber(md, func(_ pmetric.Metric, dp pmetric.NumberDataPoint) {
		for _, key := range []string{"id", "name", "pod"} {
			v, _ := dp.Attributes().Get(key)
			v.SetStr(v.Str() + strconv.Itoa(node))
		}
		dp.SetDoubleValue(dp.DoubleValue() * 1.37)
	})
	return md
}

// residentBytes reads the memory that the process has, and had at most.
func residentBytes(b *testing.B) (now, peak float64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			now = kb * 1024
		case "VmHWM:":
			peak = kb * 1024
		}
	}
	return now, peak
}

// BenchmarkMillionSeries scrapes a page of a million series over HTTP. It
// reports what a series takes of the heap, and how much more memory the process
// has at most while the page is read than before.
func BenchmarkMillionSeries(b *testing.B) {
	const nodes = 76
	e := start(b, withPage)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range nodes {
		e.mustConsume(kubeletPage(n))
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	series, bytes := e.table.size()
	heap := float64(after.HeapAlloc-before.HeapAlloc) / float64(series)
	for _, f := range []struct {
		name   string
		accept expfmt.FormatType
	}{{"text", expfmt.TypeTextPlain}, {"openmetrics", expfmt.TypeOpenMetrics}, {"protobuf", expfmt.TypeProtoDelim}} {
		for _, encoding := range []string{"identity", "gzip"} {
			b.Run(f.name+"/"+encoding, func(b *testing.B) {
				runtime.GC()
				if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
					b.Fatal(err)
				}
				resident, _ := residentBytes(b)
				m := startMeter(b)
				var size int64
				for b.Loop() {
					size = scrape(b, "http://"+e.addr.String()+pagePath, expfmt.NewFormat(f.accept), encoding)
				}
				m.perSeries(series)
				_, peak := residentBytes(b)
				b.ReportMetric(heap, "heap-B/series")
				b.ReportMetric(float64(bytes)/float64(series), "table-B/series")
				b.ReportMetric(max(0, peak-resident)/1e6, "extra-MB")
				b.ReportMetric(resident/1e6, "resident-MB")
				b.ReportMetric(float64(size)/1e6, "page-MB")
			})
		}
	}
}

func scrape(b *testing.B, url string, format expfmt.Format, encoding string) int64 {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", string(format))
	req.Header.Set("Accept-Encoding", encoding)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %v", resp.Status, err)
	}
	return n
}

package kubelet

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

// podLine is a cAdvisor line of a pod's series; the parts are what makes the
// series of another pod.
var podLine = regexp.MustCompile(`^(.*id="[^"]*?)([0-9a-f]{3})(".*?)(?:(name="[^"]*?)([0-9a-f]{3})("[^}]*))?(pod="[^"]+)(".*)$`)

// fullNode makes the page of a node with 110 pods of the capture's: each
// family has, behind its own lines, copies of them with other ids and pods,
// until there are 13,200 series.
func fullNode(t testing.TB) string {
	t.Helper()
	const series = 13_200
	lines := strings.Split(strings.TrimSuffix(string(capture(t, "metrics-cadvisor.txt")), "\n"), "\n")
	own := 0
	for _, line := range lines {
		if line[0] != '#' {
			own++
		}
	}
	missing := series - own
	var out strings.Builder
	for start := 0; start < len(lines); {
		end := start + 2 // HELP and TYPE
		for end < len(lines) && lines[end][0] != '#' {
			end++
		}
		for _, line := range lines[start:end] {
			out.WriteString(line + "\n")
		}
		for k := 1; k <= 7; k++ {
			for _, line := range lines[start:end] {
				if parts := podLine.FindStringSubmatch(line); parts != nil && missing > 0 {
					missing--
					fmt.Fprint(&out, parts[1], fmt.Sprintf("%03x", k), parts[3], parts[4])
					if parts[4] != "" {
						fmt.Fprintf(&out, "%03x", k)
					}
					fmt.Fprintf(&out, "%s%s-%d%s\n", parts[6], parts[7], k, parts[8])
				}
			}
		}
		start = end
	}
	if missing != 0 {
		t.Fatalf("page lacks %d series", missing)
	}
	return out.String()
}

func TestFullNodeIsLossless(t *testing.T) {
	body := fullNode(t)
	lines := want(t, body, false)
	if len(lines) != 13_200 {
		t.Fatalf("page has %d series, want 13,200", len(lines))
	}
	p := newPage(200_000, nil)
	for range 2 {
		samples.Equal(t, flatten(scrape(t, p, body, false)), lines)
	}
}

// BenchmarkScrape turns a page into metrics: "first" with an empty cache, as
// after a start, "next" as from then on.
func BenchmarkScrape(b *testing.B) {
	pages := map[string]string{"13200": fullNode(b), "cadvisor": string(capture(b, "metrics-cadvisor.txt")), "metrics": string(capture(b, "metrics.txt"))}
	for _, name := range []string{"13200", "cadvisor", "metrics"} {
		body := append([]byte(pages[name]), make([]byte, slack)...)[:len(pages[name])]
		b.Run(name+"/first", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				benchmarkPage(b, newPage(200_000, nil), body)
			}
		})
		b.Run(name+"/next", func(b *testing.B) {
			p := newPage(200_000, nil)
			benchmarkPage(b, p, body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				benchmarkPage(b, p, body)
			}
		})
	}
}

func benchmarkPage(b *testing.B, p *page, body []byte) {
	p.begin(scrapeTime)
	if err := parseAll(p, body, formatText); err != nil {
		b.Fatal(err)
	}
	p.sweep()
	p.write(pmetric.NewMetricSlice(), pmetric.NewMetricSlice)
	p.commit(true, false)
}

// discard is a pipeline that takes all.
type discard struct{ sink }

func (*discard) ConsumeMetrics(context.Context, pmetric.Metrics) error { return nil }

// BenchmarkFetch scrapes the full node's page over TLS and HTTP/2 on loopback; the
// server's part is in the figure.
func BenchmarkFetch(b *testing.B) {
	body := fullNode(b)
	r := newRig(b, text(body), nil)
	e := r.page(b, "/metrics/cadvisor")
	e.next = &discard{}
	e.scrape(b.Context())
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		e.scrape(b.Context())
	}
	if n := len(e.page.order); n != 13_200 {
		b.Fatalf("page has %d series", n)
	}
}

// BenchmarkCache tells the live memory that the cache of the full node's page takes.
func BenchmarkCache(b *testing.B) {
	body := []byte(fullNode(b))
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		p := newPage(200_000, nil)
		benchmarkPage(b, p, body)
		benchmarkPage(b, p, body)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc)-float64(before.HeapAlloc), "B-live")
		runtime.KeepAlive(p)
		runtime.KeepAlive(body)
	}
}

package kubelet

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

const scrapeTime = 1_800_000_000_000

var captures = []string{"metrics-cadvisor.txt", "metrics-cadvisor-from-cri.txt", "metrics-cadvisor-cgroup2.txt", "metrics-resource.txt", "metrics-probes.txt", "metrics.txt"}

func capture(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// want gives the page's samples as Prometheus' parser alone sees them.
func want(t testing.TB, body string, openMetrics bool) []string {
	t.Helper()
	contentType := "text/plain"
	if openMetrics {
		contentType = "application/openmetrics-text"
	}
	return samples.OfPage(t, body, contentType, scrapeTime, labels.EmptyLabels())
}

// flatten gives the samples of all but native histograms.
func flatten(metrics pmetric.MetricSlice) []string {
	return slices.DeleteFunc(samples.Of(metrics, labels.EmptyLabels()), func(line string) bool {
		return strings.Contains(line, `, native="`)
	})
}

// scrape runs one successful scrape that the pipeline takes.
func scrape(t testing.TB, p *page, body string, openMetrics bool) pmetric.MetricSlice {
	t.Helper()
	return scrapeAt(t, p, scrapeTime, body, openMetrics, true)
}

func scrapeAt(t testing.TB, p *page, now int64, body string, openMetrics, taken bool) pmetric.MetricSlice {
	t.Helper()
	out := pmetric.NewMetricSlice()
	p.begin(now)
	in := formatText
	if openMetrics {
		in = formatOpenMetrics
	}
	if err := parseAll(p, []byte(body), in); err != nil {
		t.Fatal(err)
	}
	p.sweep()
	writeAll(p, out)
	p.commit(taken, false)
	return out
}

// parseAll reads a page in one part.
func parseAll(p *page, body []byte, in format) error {
	_, err := p.parse(body, in, true)
	return err
}

// writeAll writes all requests to one slice.
func writeAll(p *page, out pmetric.MetricSlice) {
	p.write(out, func() pmetric.MetricSlice { return out })
}

// fail runs one scrape that gave no page.
func fail(p *page, now int64, taken bool) pmetric.MetricSlice {
	out := pmetric.NewMetricSlice()
	p.begin(now)
	p.vanish()
	writeAll(p, out)
	p.commit(taken, true)
	return out
}

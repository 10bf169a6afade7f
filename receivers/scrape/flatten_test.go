package scrape

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

const scrapeTime = 1_800_000_000_000

// want gives the page's samples as Prometheus' parser alone sees them, with a
// target's labels.
func want(t testing.TB, body, contentType string, target labels.Labels) []string {
	t.Helper()
	return samples.OfPage(t, body, contentType, scrapeTime, target)
}

// flatten gives the samples of all resources, sorted.
func flatten(md pmetric.Metrics) []string {
	var lines []string
	for _, rm := range md.ResourceMetrics().All() {
		target := labels.NewBuilder(labels.EmptyLabels())
		for _, l := range resourceLabels {
			if v, ok := rm.Resource().Attributes().Get(l.attribute); ok {
				target.Set(l.label, v.Str())
			}
		}
		metrics := rm.ScopeMetrics().At(0).Metrics()
		for _, m := range metrics.All() {
			if _, ok := m.Metadata().Get(metadataType); !ok {
				panic(m.Name() + " has no type")
			}
		}
		lines = append(lines, samples.Of(metrics, target.Labels())...)
	}
	slices.Sort(lines)
	return lines
}

// values takes the times off lines, and the series that describe the scrape.
func values(lines []string) []string {
	var all []string
	for _, line := range lines {
		line = line[:strings.LastIndexByte(line, ' ')]
		if !strings.Contains(line, `__name__="up"`) && !strings.Contains(line, `__name__="scrape_`) {
			all = append(all, line)
		}
	}
	return all
}

// id and stale take a line of flatten apart.
func id(line string) string { return line[:strings.LastIndexByte(line, '}')+1] }

func stale(line string) bool {
	return strings.HasPrefix(line[strings.LastIndexByte(line, '}')+1:], " stale ")
}

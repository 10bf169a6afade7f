package node

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/node_exporter/collector"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// TestSameAsNodeExporter compares names, types and labels with what
// node_exporter itself, of the same flags, would expose on this machine.
func TestSameAsNodeExporter(t *testing.T) {
	out := &sink{}
	r := own(t, out)
	library, err := collector.NewNodeCollector(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(library)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	r.collect(t.Context())
	c := out.last(t)
	var expected, got []string
	for _, family := range families {
		for _, m := range family.Metric {
			attributes := pcommon.NewMap()
			for _, l := range m.Label {
				if l.GetValue() != "" {
					attributes.PutStr(l.GetName(), l.GetValue())
				}
			}
			name := family.GetName()
			if m.Histogram != nil || m.Summary != nil {
				name += "_count"
			}
			expected = append(expected, seriesText(name, attributes)+" "+typeName(family.GetType()))
		}
	}
	ours := []string{"node_exporter_build_info", "up", "scrape_duration_seconds", "scrape_samples_scraped"}
	for series := range c.values {
		name, _, _ := strings.Cut(series, "{")
		kind, ok := c.types[name]
		if !ok {
			kind = c.types[strings.TrimSuffix(name, "_count")] // of a histogram or summary
		}
		if !slices.Contains(ours, name) {
			got = append(got, series+" "+kind)
		}
	}
	slices.Sort(expected)
	slices.Sort(got)
	if d := cmp.Diff(expected, got); d != "" {
		t.Errorf("series differ from node_exporter's (-want +got):\n%s", d)
	}
}

package node

import (
	"context"
	"testing"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

type discard struct{ points int }

func (*discard) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (d *discard) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	d.points = md.DataPointCount()
	return nil
}

// BenchmarkCollect is one collection of this machine's own files.
func BenchmarkCollect(b *testing.B) {
	out := &discard{}
	r := own(b, out)
	r.collect(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		r.collect(b.Context())
	}
	b.ReportMetric(float64(out.points), "series")
}

// BenchmarkCollector is one run of each collector alone, to find what costs.
func BenchmarkCollector(b *testing.B) {
	for _, p := range own(b, &discard{}).probes {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.run()
				<-p.result
			}
		})
	}
}

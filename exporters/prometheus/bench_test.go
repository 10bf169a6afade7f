package prometheus

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// nodePage is the size of a node with 110 pods: 110 pods x 3 cgroups x 40
// metrics with cAdvisor's labels.
func nodePage() pmetric.Metrics {
	md := pmetric.NewMetrics()
	ms := resourceMetrics(md, "service.name=kubelet", "service.instance.id=10.0.0.1:10250", "url.path=/metrics/cadvisor",
		"k8s.node.name=node-1", "k8s.cluster.name=lab")
	for m := range 40 {
		metric := ms.AppendEmpty()
		metric.SetName(fmt.Sprintf("container_some_metric_number_%d_total", m))
		metric.SetDescription("A metric of a container.")
		metric.Metadata().PutStr(typeMetadata, "counter")
		sum := metric.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for pod := range 110 {
			for c := range 3 {
				dp := sum.DataPoints().AppendEmpty()
				dp.SetDoubleValue(float64(m * pod))
				dp.SetTimestamp(at(1_700_000_000_000))
				put(dp.Attributes(), fmt.Sprintf("container=container-%d", c),
					fmt.Sprintf("id=/kubepods/burstable/pod4ecaaf4d-0a79-4e48-9bd7-bd163ab6f%03d/9307e1bc74e2798d919f71a975b2c6ead60ea741cd66afd2d92819aa36f4ba%d", pod, c),
					"image=images.example.com/shop/web:1.2.3",
					fmt.Sprintf("name=9307e1bc74e2798d919f71a975b2c6ead60ea741cd66afd2d92819aa36f4b%03d%d", pod, c),
					"namespace=shop", fmt.Sprintf("pod=web-7c58db8d8d-%05d", pod))
			}
		}
	}
	return md
}

// perSeries reports nanoseconds per series beside those per page.
func perSeries(b *testing.B, series int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(series), "ns/series")
}

func BenchmarkTranslate(b *testing.B) {
	md := nodePage()
	b.ReportAllocs()
	t := newTranslator()
	for b.Loop() {
		t.translate(md, 0)
	}
	perSeries(b, md.DataPointCount())
}

func BenchmarkUpdate(b *testing.B) {
	md := nodePage()
	t := newTable(1<<30, time.Hour)
	batch := translate(md, 0)
	t.update(batch, epoch)
	b.ReportAllocs()
	for b.Loop() {
		t.update(batch, epoch)
	}
	perSeries(b, len(batch.points))
	n, bytes := t.size()
	b.ReportMetric(float64(bytes)/float64(n), "table-B/series")
}

func benchmarkEncode(b *testing.B, protocol string) {
	points := pointers(translate(nodePage(), 0).points)
	s := &shard{}
	size := 0
	b.ReportAllocs()
	for b.Loop() {
		size = 0
		for rest := points; len(rest) > 0; {
			n := requestLen(rest)
			size += len(s.encode(protocol, rest[:n], nil))
			rest = rest[n:]
		}
	}
	perSeries(b, len(points))
	b.ReportMetric(float64(size)/float64(len(points)), "sent-B/series")
}

func BenchmarkEncodeV1(b *testing.B) { benchmarkEncode(b, ProtocolV1) }

func BenchmarkEncodeV2(b *testing.B) { benchmarkEncode(b, ProtocolV2) }

func benchmarkPage(b *testing.B, format expfmt.FormatType) {
	t := newTable(1<<30, time.Hour)
	batch := translate(nodePage(), 0)
	t.update(batch, time.Now())
	b.ReportAllocs()
	for b.Loop() {
		if err := (&page{table: t}).write(io.Discard, newWriterOf(expfmt.NewFormat(format))); err != nil {
			b.Fatal(err)
		}
	}
	perSeries(b, len(batch.points))
}

func BenchmarkPage(b *testing.B) { benchmarkPage(b, expfmt.TypeTextPlain) }

func BenchmarkPageOpenMetrics(b *testing.B) { benchmarkPage(b, expfmt.TypeOpenMetrics) }

func BenchmarkPageProtobuf(b *testing.B) { benchmarkPage(b, expfmt.TypeProtoDelim) }

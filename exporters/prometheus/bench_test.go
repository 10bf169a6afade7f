package prometheus

import (
	"fmt"
	"io"
	"net/http"
	"syscall"
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

// meter reports the processor's time for each series, which a busy machine does
// not change as much as the time that passes.
type meter struct {
	b     *testing.B
	began time.Duration
}

func startMeter(b *testing.B) meter {
	b.ReportAllocs()
	return meter{b, processorTime(b)}
}

func (m meter) perSeries(series int) {
	took := processorTime(m.b) - m.began
	m.b.ReportMetric(float64(took.Nanoseconds())/float64(m.b.N)/float64(series), "cpu-ns/series")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkTranslate(b *testing.B) {
	md := nodePage()
	m := startMeter(b)
	t := newTranslator()
	for b.Loop() {
		t.translate(md, 0)
	}
	m.perSeries(md.DataPointCount())
}

func BenchmarkUpdate(b *testing.B) {
	md := nodePage()
	t := newTable(1<<30, time.Hour)
	batch := translate(md, 0)
	t.update(batch, epoch)
	m := startMeter(b)
	for b.Loop() {
		t.update(batch, epoch)
	}
	m.perSeries(len(batch.points))
	n, bytes := t.size()
	b.ReportMetric(float64(bytes)/float64(n), "table-B/series")
}

func benchmarkEncode(b *testing.B, protocol string) {
	points := pointers(translate(nodePage(), 0).points)
	s := &shard{}
	size := 0
	m := startMeter(b)
	for b.Loop() {
		size = 0
		for rest := points; len(rest) > 0; {
			n := requestLen(rest)
			size += len(s.encode(protocol, rest[:n], nil))
			rest = rest[n:]
		}
	}
	m.perSeries(len(points))
	b.ReportMetric(float64(size)/float64(len(points)), "sent-B/series")
}

func BenchmarkEncodeV1(b *testing.B) { benchmarkEncode(b, ProtocolV1) }

func BenchmarkEncodeV2(b *testing.B) { benchmarkEncode(b, ProtocolV2) }

func benchmarkPage(b *testing.B, format expfmt.FormatType) {
	t := newTable(1<<30, time.Hour)
	batch := translate(nodePage(), 0)
	t.update(batch, time.Now())
	m := startMeter(b)
	for b.Loop() {
		if err := (&page{table: t}).write(io.Discard, newWriterOf(expfmt.NewFormat(format))); err != nil {
			b.Fatal(err)
		}
	}
	m.perSeries(len(batch.points))
}

func BenchmarkPage(b *testing.B) { benchmarkPage(b, expfmt.TypeTextPlain) }

func BenchmarkPageOpenMetrics(b *testing.B) { benchmarkPage(b, expfmt.TypeOpenMetrics) }

func BenchmarkPageProtobuf(b *testing.B) { benchmarkPage(b, expfmt.TypeProtoDelim) }

// BenchmarkConsume is all of the exporter's part: from pdata to what the network
// or the page has.
func BenchmarkConsume(b *testing.B) {
	sink := roundTrip(func(r *http.Request) (*http.Response, error) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		return reply(http.StatusNoContent, writtenSamples, "1"), nil
	})
	md := nodePage()
	for _, protocol := range []string{ProtocolV1, ProtocolV2} {
		b.Run("remote_write_"+protocol, func(b *testing.B) {
			e := start(b, remoteTo("http://store.test/api/v1/write", protocol))
			e.remote = newRemoteWriter(e.cfg.RemoteWrite.Get(), &http.Client{Transport: sink}, e.metricsExporter.tel)
			m := startMeter(b)
			for b.Loop() {
				e.mustConsume(md)
			}
			m.perSeries(md.DataPointCount())
		})
	}
	b.Run("scrape", func(b *testing.B) {
		e := start(b, withPage)
		m := startMeter(b)
		for b.Loop() {
			e.mustConsume(md)
			if err := (&page{table: e.table}).write(io.Discard, newWriterOf(expfmt.NewFormat(expfmt.TypeProtoDelim))); err != nil {
				b.Fatal(err)
			}
		}
		m.perSeries(md.DataPointCount())
	})
}

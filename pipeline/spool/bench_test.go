package spool

import (
	"context"
	"fmt"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
)

// BenchmarkSpool sends requests of 100 spans of about 330 bytes through, next hop
// included, which does nothing.
func BenchmarkSpool(b *testing.B) {
	const perRequest = 100
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	for i := range 12 {
		rs.Resource().Attributes().PutStr(fmt.Sprintf("resource.attribute.%d", i), "value of the attribute")
	}
	ss := rs.ScopeSpans().AppendEmpty()
	for range perRequest {
		span := ss.Spans().AppendEmpty()
		span.SetName("GET /api/v1/things")
		span.SetTraceID([16]byte{1})
		span.SetSpanID([8]byte{1})
		for i := range 8 {
			span.Attributes().PutStr(fmt.Sprintf("attribute.%d", i), "a usual value")
		}
	}
	for name, cfg := range map[string]*Config{"memory": {}, "disk": {Directory: b.TempDir()}} {
		b.Run(name, func(b *testing.B) {
			// Not so far ahead of the next hop that the spool fills up and drops.
			ahead := make(chan struct{}, 64)
			next, err := consumer.NewTraces(func(_ context.Context, td ptrace.Traces) error {
				for range td.SpanCount() / perRequest {
					<-ahead
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			p, err := NewFactory().CreateTraces(b.Context(), processortest.NewNopSettings(NewFactory().Type()), cfg, next)
			if err != nil {
				b.Fatal(err)
			}
			if err := p.Start(b.Context(), componenttest.NewNopHost()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64((&ptrace.ProtoMarshaler{}).TracesSize(td)))
			b.ResetTimer()
			for range b.N {
				ahead <- struct{}{}
				if err := p.ConsumeTraces(b.Context(), td); err != nil {
					b.Fatal(err)
				}
			}
			for range cap(ahead) { // until all have arrived
				ahead <- struct{}{}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)*perRequest/b.Elapsed().Seconds(), "spans/s")
			if err := p.Shutdown(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkAppend is the cost of taking 32 KiB over, without sending.
func BenchmarkAppend(b *testing.B) {
	payload := make([]byte, 32<<10)
	disk, _ := openQueue(b, b.TempDir(), diskBytes)
	book, _ := newCounts(b)
	for name, q := range map[string]*queue{"memory": newQueue(newMemory(), contents{}, memoryBytes, book), "disk": disk} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				if err := q.append(payload, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
		if err := q.close(); err != nil {
			b.Fatal(err)
		}
	}
}

package jaeger

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/emptypb"
)

// usualTraces is what a node sends: spans of 20 pods with the identity
// attributes on the resource and eight attributes each, about 450 bytes a span.
func usualTraces(spans int) ptrace.Traces {
	td := ptrace.NewTraces()
	const pods = 20
	for r := range pods {
		rs := td.ResourceSpans().AppendEmpty()
		for _, k := range []string{
			"service.name", "service.namespace", "service.version", "service.instance.id", "k8s.cluster.name", "k8s.node.name",
			"k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.container.name", "k8s.deployment.name", "container.image.name",
		} {
			rs.Resource().Attributes().PutStr(k, fmt.Sprintf("%s-of-pod-%d", k, r))
		}
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")
		for i := range spans / pods {
			span := ss.Spans().AppendEmpty()
			span.SetName("GET /api/v1/things")
			span.SetTraceID(pcommon.TraceID{1, byte(r), 15: byte(i)})
			span.SetSpanID(pcommon.SpanID{1, byte(r), 6: byte(i >> 8), 7: byte(i)})
			span.SetParentSpanID(pcommon.SpanID{1, byte(r)})
			span.SetKind(ptrace.SpanKindServer)
			span.SetStartTimestamp(1_700_000_000_000_000_000)
			span.SetEndTimestamp(1_700_000_000_001_000_000)
			a := span.Attributes()
			a.PutStr("http.request.method", "GET")
			a.PutStr("url.path", "/api/v1/things/4711")
			a.PutStr("server.address", "things.prod.svc.cluster.local")
			a.PutStr("user_agent.original", "Go-http-client/2.0")
			a.PutStr("network.protocol.version", "1.1")
			a.PutStr("client.address", "10.244.3.17")
			a.PutInt("http.response.status_code", 200)
			a.PutInt("http.response.body.size", 5120)
		}
	}
	return td
}

// throwAway is a server that reads requests and decodes none.
func throwAway(b *testing.B) string {
	b.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(noCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(nil); err != nil {
			return err
		}
		return stream.SendMsg(&emptypb.Empty{})
	}))
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(lis) }()
	b.Cleanup(func() { server.Stop(); <-done })
	return lis.Addr().String()
}

type noCodec struct{}

func (noCodec) Name() string                         { return "proto" }
func (noCodec) Marshal(any) (mem.BufferSlice, error) { return nil, nil }
func (noCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

// BenchmarkExport sends requests of 1000 spans over loopback. cpu-ns/span is the
// processor time of the whole program, the server's reading included.
func BenchmarkExport(b *testing.B) {
	const spans = 1000
	for _, protocol := range []string{protocolOTLP, protocolAPIv2} {
		b.Run(protocol, func(b *testing.B) {
			e := start(b, protocol, throwAway(b), nil)
			td := usualTraces(spans)
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				if err := e.ConsumeTraces(context.Background(), td); err != nil {
					b.Fatal(err)
				}
			}
			n := float64(b.N) * spans
			b.ReportMetric(float64(cpu(b)-before)/n, "cpu-ns/span")
			b.ReportMetric(n/b.Elapsed().Seconds(), "spans/s")
			b.ReportMetric(float64(sizer.TracesSize(td))/spans, "otlp-B/span")
		})
	}
}

func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

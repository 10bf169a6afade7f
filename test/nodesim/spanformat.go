package nodesim

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/jaegertracing/jaeger-idl/model/v1"
	"github.com/jaegertracing/jaeger-idl/thrift-gen/jaeger"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// The batches below say which service sent them and nothing of the pod: who
// that was, the agent has to find by the sender's address.

func otlpBatch(spans []*Span) ptrace.Traces {
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", spans[0].Service)
	rs.Resource().Attributes().PutStr("telemetry.sdk.language", "go")
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("nodesim")
	for _, s := range spans {
		o := ss.Spans().AppendEmpty()
		o.SetTraceID(s.TraceID)
		o.SetSpanID(s.ID)
		o.SetParentSpanID(s.ParentID)
		o.SetName(s.Name)
		o.SetKind(ptrace.SpanKindServer)
		o.SetStartTimestamp(pcommon.NewTimestampFromTime(s.Start))
		o.SetEndTimestamp(pcommon.NewTimestampFromTime(s.Start.Add(s.Duration)))
		o.Attributes().PutStr("http.request.method", "POST")
		o.Attributes().PutInt("http.response.status_code", 200)
	}
	return traces
}

func jaegerBatch(spans []*Span) model.Batch {
	b := model.Batch{Process: &model.Process{ServiceName: spans[0].Service}}
	for _, s := range spans {
		id := model.TraceID{High: binary.BigEndian.Uint64(s.TraceID[:8]), Low: binary.BigEndian.Uint64(s.TraceID[8:])}
		o := &model.Span{TraceID: id, SpanID: model.SpanID(binary.BigEndian.Uint64(s.ID[:])), OperationName: s.Name,
			StartTime: s.Start, Duration: s.Duration, Tags: []model.KeyValue{model.String("span.kind", "server")}}
		if parent := binary.BigEndian.Uint64(s.ParentID[:]); parent != 0 {
			o.References = []model.SpanRef{model.NewChildOfRef(id, model.SpanID(parent))}
		}
		b.Spans = append(b.Spans, o)
	}
	return b
}

func thriftBatch(ctx context.Context, spans []*Span) ([]byte, error) {
	b := &jaeger.Batch{Process: &jaeger.Process{ServiceName: spans[0].Service}}
	kind := "server"
	for _, s := range spans {
		b.Spans = append(b.Spans, &jaeger.Span{
			TraceIdHigh:   int64(binary.BigEndian.Uint64(s.TraceID[:8])),
			TraceIdLow:    int64(binary.BigEndian.Uint64(s.TraceID[8:])),
			SpanId:        int64(binary.BigEndian.Uint64(s.ID[:])),
			ParentSpanId:  int64(binary.BigEndian.Uint64(s.ParentID[:])),
			OperationName: s.Name, Flags: 1, StartTime: s.Start.UnixMicro(), Duration: s.Duration.Microseconds(),
			Tags: []*jaeger.Tag{{Key: "span.kind", VType: jaeger.TagType_STRING, VStr: &kind}},
		})
	}
	return thrift.NewTSerializer().Write(ctx, b)
}

// zipkinSpan is version 2 of Zipkin's JSON. https://zipkin.io/zipkin-api/
type zipkinSpan struct {
	TraceID       string            `json:"traceId"`
	ID            string            `json:"id"`
	ParentID      string            `json:"parentId,omitempty"`
	Name          string            `json:"name"`
	Kind          string            `json:"kind"`
	Timestamp     int64             `json:"timestamp"` // microseconds
	Duration      int64             `json:"duration"`
	LocalEndpoint map[string]string `json:"localEndpoint"`
}

func zipkinBatch(spans []*Span) ([]byte, error) {
	var all []zipkinSpan
	for _, s := range spans {
		z := zipkinSpan{TraceID: hex.EncodeToString(s.TraceID[:]), ID: hex.EncodeToString(s.ID[:]), Name: s.Name, Kind: "SERVER",
			Timestamp: s.Start.UnixMicro(), Duration: s.Duration.Microseconds(),
			LocalEndpoint: map[string]string{"serviceName": s.Service}}
		if s.ParentID != [8]byte{} {
			z.ParentID = hex.EncodeToString(s.ParentID[:])
		}
		all = append(all, z)
	}
	return json.Marshal(all)
}

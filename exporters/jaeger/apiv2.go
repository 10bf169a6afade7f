package jaeger

import (
	"context"
	"fmt"

	"github.com/jaegertracing/jaeger-idl/model/v1"
	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	translator "github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/jaeger"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// batchMessage is an api_v2 PostSpansRequest.
type batchMessage struct{ batch *model.Batch }

func batchMessages(td ptrace.Traces, limit int) []message {
	batches := translator.ProtoFromTraces(td)
	restoreStatusCodes(td, batches)
	var messages []message
	for _, b := range batches {
		messages = appendBatches(messages, b, limit)
	}
	return messages
}

// restoreStatusCodes names the tag of the attribute http.response.status_code as
// the attribute: the translator gives it the name of an older convention,
// http.status_code, unless a feature gate of the whole program is set
// (https://github.com/open-telemetry/opentelemetry-collector-contrib/issues/45036),
// and then a trace would look different by the protocol it came with. The
// translator keeps the order of spans, so the n-th of td is the n-th of batches.
func restoreStatusCodes(td ptrace.Traces, batches []*model.Batch) {
	var spans []*model.Span
	for _, b := range batches {
		spans = append(spans, b.Spans...)
	}
	n := 0
	eachSpan(td, func(_ ptrace.ResourceSpans, _ ptrace.ScopeSpans, span ptrace.Span) {
		_, current := span.Attributes().Get("http.response.status_code")
		_, older := span.Attributes().Get("http.status_code")
		if current && !older {
			renameTag(spans[n].Tags, "http.status_code", "http.response.status_code")
		}
		n++
	})
}

func renameTag(tags []model.KeyValue, from, to string) {
	for i := range tags {
		if tags[i].Key == from {
			tags[i].Key = to
		}
	}
}

// appendBatches appends b in pieces of at most limit bytes; a piece over it
// holds a single span.
func appendBatches(messages []message, b *model.Batch, limit int) []message {
	process := 2*fieldBytes + b.Process.Size()
	begin, size := 0, process
	for i, span := range b.Spans {
		spanSize := fieldBytes + span.Size()
		if i > begin && size+spanSize > limit {
			messages = append(messages, batchMessage{&model.Batch{Process: b.Process, Spans: b.Spans[begin:i]}})
			begin, size = i, process
		}
		size += spanSize
	}
	if begin < len(b.Spans) {
		messages = append(messages, batchMessage{&model.Batch{Process: b.Process, Spans: b.Spans[begin:]}})
	}
	return messages
}

func (m batchMessage) request() *api_v2.PostSpansRequest {
	return &api_v2.PostSpansRequest{Batch: *m.batch}
}

func (m batchMessage) spans() int { return len(m.batch.Spans) }

func (m batchMessage) bytes() int { return m.request().Size() }

func (m batchMessage) halves() (message, message) {
	half := len(m.batch.Spans) / 2
	return batchMessage{&model.Batch{Process: m.batch.Process, Spans: m.batch.Spans[:half]}},
		batchMessage{&model.Batch{Process: m.batch.Process, Spans: m.batch.Spans[half:]}}
}

func (m batchMessage) send(ctx context.Context, conn *grpc.ClientConn) (int, string, error) {
	_, err := api_v2.NewCollectorServiceClient(conn).PostSpans(ctx, m.request(), grpc.ForceCodecV2(batchCodec{}))
	return 0, "", err
}

// batchCodec marshals the messages of api_v2 by their generated gogo/protobuf
// code: gRPC's own codec derives a description by reflection instead, which
// cannot describe the custom types of the ids.
type batchCodec struct{}

func (batchCodec) Name() string { return "proto" }

func (batchCodec) Marshal(v any) (mem.BufferSlice, error) {
	request, ok := v.(*api_v2.PostSpansRequest)
	if !ok {
		return nil, fmt.Errorf("marshal %T: not a request of api_v2", v)
	}
	buf := mem.DefaultBufferPool().Get(request.Size())
	n, err := request.MarshalToSizedBuffer(*buf)
	if err != nil {
		mem.DefaultBufferPool().Put(buf)
		return nil, fmt.Errorf("marshal spans: %w", err)
	}
	*buf = (*buf)[:n]
	return mem.BufferSlice{mem.NewBuffer(buf, mem.DefaultBufferPool())}, nil
}

func (batchCodec) Unmarshal(data mem.BufferSlice, v any) error {
	response, ok := v.(*api_v2.PostSpansResponse)
	if !ok {
		return fmt.Errorf("unmarshal %T: not a response of api_v2", v)
	}
	return response.Unmarshal(data.Materialize())
}

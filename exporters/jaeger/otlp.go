package jaeger

import (
	"context"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
)

// otlpMessage is an OTLP export request.
type otlpMessage struct {
	td ptrace.Traces
	n  int
}

func otlpMessages(td ptrace.Traces, limit int) []message {
	var messages []message
	for _, part := range splitBySize(td, limit) {
		if n := part.SpanCount(); n > 0 {
			messages = append(messages, otlpMessage{part, n})
		}
	}
	return messages
}

func (m otlpMessage) spans() int { return m.n }

func (m otlpMessage) bytes() int { return sizer.TracesSize(m.td) }

func (m otlpMessage) halves() (message, message) {
	a, b := halve(m.td, m.n)
	return otlpMessage{a, m.n / 2}, otlpMessage{b, m.n - m.n/2}
}

func (m otlpMessage) send(ctx context.Context, conn *grpc.ClientConn) (int, string, error) {
	resp, err := ptraceotlp.NewGRPCClient(conn).Export(ctx, ptraceotlp.NewExportRequestFromTraces(m.td))
	if err != nil {
		return 0, "", err
	}
	partial := resp.PartialSuccess()
	// The number is the store's: never trust it to be within the request.
	rejected := min(max(partial.RejectedSpans(), 0), int64(m.n))
	return int(rejected), partial.ErrorMessage(), nil
}

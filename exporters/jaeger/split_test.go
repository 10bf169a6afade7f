package jaeger

import (
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// origin describes all that a span must keep when it moves to another request.
func origins(td ptrace.Traces) map[string]string {
	all := map[string]string{}
	eachSpan(td, func(rs ptrace.ResourceSpans, ss ptrace.ScopeSpans, span ptrace.Span) {
		service, _ := rs.Resource().Attributes().Get("service.name")
		all[span.Name()] = strings.Join([]string{service.AsString(), rs.SchemaUrl(), ss.Scope().Name(), span.SpanID().String()}, " ")
	})
	return all
}

func TestSplitKeepsEverySpanUnderTheLimit(t *testing.T) {
	td := someTraces(500)
	td.MarkReadOnly()
	want := origins(td)
	for limit := 100; limit < 40_000; limit = limit*3/2 + 1 {
		got := map[string]string{}
		for _, part := range splitBySize(td, limit) {
			if size := sizer.TracesSize(part); size > limit && part.SpanCount() > 1 {
				t.Fatalf("limit %d: a part of %d spans has %d bytes", limit, part.SpanCount(), size)
			}
			for name, origin := range origins(part) {
				if _, twice := got[name]; twice {
					t.Fatalf("limit %d: %s comes twice", limit, name)
				}
				got[name] = origin
			}
		}
		if len(got) != len(want) {
			t.Fatalf("limit %d: got %d spans, want %d", limit, len(got), len(want))
		}
		for name := range want {
			if got[name] != want[name] {
				t.Fatalf("limit %d: %s came from %q, want %q", limit, name, got[name], want[name])
			}
		}
	}
}

func TestSplitFillsParts(t *testing.T) {
	td := someTraces(500)
	limit := sizer.TracesSize(td)/4 + 1
	if parts := splitBySize(td, limit); len(parts) > 6 {
		t.Errorf("data of 4 times the limit came in %d parts", len(parts))
	}
}

func TestBatchesStayUnderTheLimit(t *testing.T) {
	td := someTraces(500)
	for limit := 200; limit < 40_000; limit = limit*3/2 + 1 {
		spans := 0
		for _, m := range batchMessages(td, limit) {
			if m.bytes() > limit && m.spans() > 1 {
				t.Fatalf("limit %d: a batch of %d spans has %d bytes", limit, m.spans(), m.bytes())
			}
			spans += m.spans()
		}
		if spans != 500 {
			t.Fatalf("limit %d: got %d spans, want 500", limit, spans)
		}
	}
}

func TestNothingToSend(t *testing.T) {
	empty := ptrace.NewTraces()
	empty.ResourceSpans().AppendEmpty().Resource().Attributes().PutStr("service.name", "idle")
	empty.ResourceSpans().At(0).ScopeSpans().AppendEmpty()
	for _, td := range []ptrace.Traces{ptrace.NewTraces(), empty} {
		if got := len(otlpMessages(td, 100)) + len(batchMessages(td, 100)); got != 0 {
			t.Errorf("got %d messages for no span", got)
		}
	}
}

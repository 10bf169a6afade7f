package jaeger

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

func endpointOf(j *stores.Jaeger, protocol string) string {
	if protocol == protocolAPIv2 {
		return j.GRPC
	}
	return j.OTLPGRPC
}

// waitForSpans polls Jaeger, which stores asynchronously, until the trace has n spans.
func waitForSpans(t *testing.T, j *stores.Jaeger, traceID string, n int) *stores.Trace {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		trace, err := j.Trace(ctx, traceID)
		if err == nil && trace != nil && len(trace.Spans) >= n {
			return trace
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("trace %s has not %d spans: %+v, %v", traceID, n, trace, err)
		}
	}
}

// described is a span in words that do not depend on who asks.
func described(trace *stores.Trace) map[string][]string {
	all := map[string][]string{}
	for _, span := range trace.Spans {
		lines := []string{
			fmt.Sprintf("id %s/%s", span.TraceID, span.SpanID),
			fmt.Sprintf("time %d+%d", span.StartTime, span.Duration),
			"service " + trace.Processes[span.ProcessID].ServiceName,
		}
		for _, r := range span.References {
			lines = append(lines, fmt.Sprintf("reference %s %s/%s", r.RefType, r.TraceID, r.SpanID))
		}
		lines = append(lines, tagLines("tag", span.Tags)...)
		lines = append(lines, tagLines("process", trace.Processes[span.ProcessID].Tags)...)
		for _, l := range span.Logs {
			lines = append(lines, tagLines(fmt.Sprintf("event %d", l.Timestamp), l.Fields)...)
		}
		slices.Sort(lines)
		all[span.OperationName] = lines
	}
	return all
}

func tagLines(kind string, tags []stores.Tag) []string {
	var lines []string
	for _, tag := range tags {
		if tag.Key == "internal.span.format" { // Jaeger's own: by which protocol it came
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %s %s=%v", kind, tag.Key, tag.Type, tag.Value))
	}
	return lines
}

// telling is a trace with everything a span can have.
func telling(id byte) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	for k, v := range map[string]string{
		"service.name": "checkout", "service.namespace": "shop", "k8s.namespace.name": "prod",
		"k8s.pod.name": "checkout-5d9", "k8s.node.name": "node-1", "k8s.cluster.name": "test",
	} {
		rs.Resource().Attributes().PutStr(k, v)
	}
	rs.Resource().Attributes().PutInt("k8s.container.restart_count", 3)
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("net/http")
	ss.Scope().SetVersion("1.2.3")

	base := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	parent := ss.Spans().AppendEmpty()
	parent.SetName("GET /cart")
	parent.SetKind(ptrace.SpanKindServer)
	parent.SetTraceID(pcommon.TraceID{0xde, 0xad, 15: id})
	parent.SetSpanID(pcommon.SpanID{0xbe, 0xef, 7: 1})
	parent.SetStartTimestamp(pcommon.NewTimestampFromTime(base))
	parent.SetEndTimestamp(pcommon.NewTimestampFromTime(base.Add(1500 * time.Millisecond)))
	parent.Status().SetCode(ptrace.StatusCodeOk)
	parent.Attributes().PutInt("http.response.status_code", 200)
	parent.Attributes().PutBool("cache.hit", true)
	parent.Attributes().PutDouble("load", 0.25)

	child := ss.Spans().AppendEmpty()
	child.SetName("SELECT")
	child.SetKind(ptrace.SpanKindClient)
	child.SetTraceID(parent.TraceID())
	child.SetSpanID(pcommon.SpanID{0xbe, 0xef, 7: 2})
	child.SetParentSpanID(parent.SpanID())
	child.TraceState().FromRaw("vendor=1")
	child.SetStartTimestamp(pcommon.NewTimestampFromTime(base.Add(time.Millisecond)))
	child.SetEndTimestamp(pcommon.NewTimestampFromTime(base.Add(2 * time.Millisecond)))
	child.Status().SetCode(ptrace.StatusCodeError)
	child.Status().SetMessage("connection refused")
	event := child.Events().AppendEmpty()
	event.SetName("exception")
	event.SetTimestamp(pcommon.NewTimestampFromTime(base.Add(1500 * time.Microsecond)))
	event.Attributes().PutStr("exception.type", "net.OpError")
	link := child.Links().AppendEmpty()
	link.SetTraceID(pcommon.TraceID{0xca, 0xfe, 15: id})
	link.SetSpanID(pcommon.SpanID{0xf0, 7: 9})

	rs = td.ResourceSpans().AppendEmpty() // without a name, with other attributes
	rs.Resource().Attributes().PutStr("k8s.pod.name", "anonymous")
	nameless := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	child.CopyTo(nameless)
	nameless.SetName("nameless")
	nameless.SetSpanID(pcommon.SpanID{7: 3})

	bare := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	child.CopyTo(bare)
	bare.SetName("bare")
	bare.SetSpanID(pcommon.SpanID{7: 4})
	return td
}

func TestRealJaegerRoundTrip(t *testing.T) {
	j := stores.TestJaeger(t, stores.Options{})
	eachProtocol(t, func(t *testing.T, protocol string) {
		e := start(t, protocol, endpointOf(j, protocol), nil)
		td := telling(byte(len(protocol)))
		if err := e.ConsumeTraces(t.Context(), td); err != nil {
			t.Fatal(err)
		}
		parent := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
		got := described(waitForSpans(t, j, parent.TraceID().String(), 4))

		id, linked := parent.TraceID().String(), td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(1).Links().At(0).TraceID().String()
		begin := parent.StartTimestamp().AsTime().UnixMicro()
		process := []string{
			"process k8s.cluster.name string=test",
			"process k8s.container.restart_count int64=3",
			"process k8s.namespace.name string=prod",
			"process k8s.node.name string=node-1",
			"process k8s.pod.name string=checkout-5d9",
			"process service.namespace string=shop",
			"service checkout",
		}
		childTags := []string{
			fmt.Sprintf("event %d event string=exception", begin+1500),
			fmt.Sprintf("event %d exception.type string=net.OpError", begin+1500),
			"reference CHILD_OF " + id + "/beef000000000001",
			"reference FOLLOWS_FROM " + linked + "/f000000000000009",
			"tag error bool=true",
			"tag otel.status_code string=ERROR",
			"tag otel.status_description string=connection refused",
			"tag span.kind string=client",
			"tag w3c.tracestate string=vendor=1",
			fmt.Sprintf("time %d+1000", begin+1000),
		}
		scope := []string{"tag otel.scope.name string=net/http", "tag otel.scope.version string=1.2.3"}
		want := map[string][]string{
			"GET /cart": slices.Concat(process, scope, []string{
				"id " + id + "/beef000000000001",
				"tag cache.hit bool=true",
				"tag http.response.status_code int64=200",
				"tag load float64=0.25",
				"tag otel.status_code string=OK",
				"tag span.kind string=server",
				fmt.Sprintf("time %d+1500000", begin),
			}),
			"SELECT":   slices.Concat(process, scope, childTags, []string{"id " + id + "/beef000000000002"}),
			"nameless": slices.Concat(childTags, []string{"id " + id + "/0000000000000003", "process k8s.pod.name string=anonymous", "service empty-service-name"}),
			"bare":     slices.Concat(childTags, []string{"id " + id + "/0000000000000004", "service OTLPResourceNoServiceName"}),
		}
		for _, lines := range want {
			slices.Sort(lines)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Jaeger shows other spans than were sent (-want +got):\n%s", diff)
		}
		e.wantLedger(4, nil)
	})
}

// Spans sent while Jaeger is dead arrive after its restart. (Its store is in
// memory: it forgets what it took before.)
func TestRealJaegerKilled(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		j := stores.TestJaeger(t, stores.Options{})
		e := start(t, protocol, endpointOf(j, protocol), nil)
		if err := e.ConsumeTraces(t.Context(), someTraces(10)); err != nil {
			t.Fatal(err)
		}
		if err := j.Kill(); err != nil {
			t.Fatal(err)
		}
		const calls, each = 8, 50
		var sent sync.WaitGroup
		for i := range calls {
			sent.Go(func() {
				if err := e.ConsumeTraces(t.Context(), inOneTrace(i, each)); err != nil {
					t.Error(err)
				}
			})
		}
		// Dead for long enough that every call was refused once.
		for e.count("crowsnest_jaeger_requests", "code", "Unavailable") < calls {
			if t.Context().Err() != nil {
				t.Fatal("calls were not refused")
			}
		}
		if err := j.Restart(); err != nil {
			t.Fatal(err)
		}
		sent.Wait()
		for i := range calls {
			id := inOneTrace(i, 1).ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).TraceID()
			trace := waitForSpans(t, j, hex.EncodeToString(id[:]), each)
			if len(trace.Spans) != each {
				t.Errorf("trace %d has %d spans, want %d", i, len(trace.Spans), each)
			}
		}
		e.wantLedger(10+calls*each, nil)
	})
}

// inOneTrace makes n spans of the trace i.
func inOneTrace(i, n int) ptrace.Traces {
	td := someTraces(n)
	eachSpan(td, func(_ ptrace.ResourceSpans, _ ptrace.ScopeSpans, span ptrace.Span) {
		span.SetTraceID(pcommon.TraceID{7, 15: byte(i)})
	})
	return td
}

// Requests of just under Jaeger's own limit are taken by the real one.
func TestRealJaegerTakesFullMessages(t *testing.T) {
	j := stores.TestJaeger(t, stores.Options{})
	eachProtocol(t, func(t *testing.T, protocol string) {
		e := start(t, protocol, endpointOf(j, protocol), nil)
		const spans = 150
		td := inOneTrace(100+len(protocol), spans)
		pad := strings.Repeat("x", 200<<10) // 29 MiB in all
		eachSpan(td, func(_ ptrace.ResourceSpans, _ ptrace.ScopeSpans, span ptrace.Span) {
			span.Attributes().PutStr("pad", pad)
		})
		if err := e.ConsumeTraces(t.Context(), td); err != nil {
			t.Fatal(err)
		}
		id := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).TraceID()
		waitForSpans(t, j, id.String(), spans)
		e.wantLedger(spans, nil)
		if got := e.count("crowsnest_jaeger_requests", "code", "ResourceExhausted"); got != 0 {
			t.Errorf("%d requests were over the limit", got)
		}
	})
}

package jaeger

import (
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// maxMessageBytes is what a gRPC server takes by default, and Jaeger.
const maxMessageBytes = 4 << 20

// fieldBytes bounds what protobuf puts before a nested message: one byte of tag
// and a length below 2^35.
const fieldBytes = 6

var sizer ptrace.ProtoMarshaler

// part is a run of spans of some larger data, with copies of the resources and
// scopes that they are under.
type part struct {
	td    ptrace.Traces
	spans int
	bytes int // upper bound of the marshalled size

	// where the last span came from, and where it went
	fromResource ptrace.ResourceSpans
	fromScope    ptrace.ScopeSpans
	toResource   ptrace.ResourceSpans
	toScope      ptrace.ScopeSpans
}

func newPart() *part { return &part{td: ptrace.NewTraces()} }

func (p *part) add(rs ptrace.ResourceSpans, ss ptrace.ScopeSpans, span ptrace.Span) {
	if p.spans == 0 || p.fromResource != rs {
		p.fromResource, p.fromScope = rs, ptrace.ScopeSpans{}
		p.toResource = p.td.ResourceSpans().AppendEmpty()
		rs.Resource().CopyTo(p.toResource.Resource())
		p.toResource.SetSchemaUrl(rs.SchemaUrl())
		p.bytes += fieldBytes + sizer.ResourceSpansSize(p.toResource)
	}
	if p.fromScope != ss {
		p.fromScope = ss
		p.toScope = p.toResource.ScopeSpans().AppendEmpty()
		ss.Scope().CopyTo(p.toScope.Scope())
		p.toScope.SetSchemaUrl(ss.SchemaUrl())
		p.bytes += fieldBytes + sizer.ScopeSpansSize(p.toScope)
	}
	span.CopyTo(p.toScope.Spans().AppendEmpty())
	p.bytes += fieldBytes + sizer.SpanSize(span)
	p.spans++
}

func eachSpan(td ptrace.Traces, f func(ptrace.ResourceSpans, ptrace.ScopeSpans, ptrace.Span)) {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				f(rs, ss, span)
			}
		}
	}
}

// splitBySize cuts td into parts of at most limit bytes when marshalled; a part
// over it holds a single span. Data within the limit comes back as it is; else
// the parts are copies, since td may be shared with other exporters.
func splitBySize(td ptrace.Traces, limit int) []ptrace.Traces {
	if sizer.TracesSize(td) <= limit {
		return []ptrace.Traces{td}
	}
	var parts []ptrace.Traces
	p := newPart()
	eachSpan(td, func(rs ptrace.ResourceSpans, ss ptrace.ScopeSpans, span ptrace.Span) {
		if p.spans > 0 && p.bytes+fieldBytes+sizer.SpanSize(span)+contextBytes(p, rs, ss) > limit {
			parts = append(parts, p.td)
			p = newPart()
		}
		p.add(rs, ss, span)
	})
	if p.spans > 0 {
		parts = append(parts, p.td)
	}
	return parts
}

// contextBytes is what the resource and scope of a span add to p, at most.
func contextBytes(p *part, rs ptrace.ResourceSpans, ss ptrace.ScopeSpans) int {
	if p.fromResource == rs && p.fromScope == ss {
		return 0
	}
	alone := newPart()
	alone.add(rs, ss, ptrace.NewSpan())
	return alone.bytes
}

// halve cuts td of n spans, two or more, into copies of its first half and the rest.
func halve(td ptrace.Traces, n int) (ptrace.Traces, ptrace.Traces) {
	first, second, i := newPart(), newPart(), 0
	eachSpan(td, func(rs ptrace.ResourceSpans, ss ptrace.ScopeSpans, span ptrace.Span) {
		if i < n/2 {
			first.add(rs, ss, span)
		} else {
			second.add(rs, ss, span)
		}
		i++
	})
	return first.td, second.td
}

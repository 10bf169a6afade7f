//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// maxTraces is more than a run makes; Jaeger's search needs a limit.
const maxTraces = 100_000

// spansPerTrace: three services, and two calls between them.
const spansPerTrace = 5

// tracedLine is a line that says which span it was written in.
type tracedLine struct {
	pod, trace, span string
}

// checkTraces waits until the span of every line that the chain has written is in
// Jaeger, with the line's pod.
func (in *installation) checkTraces(t *testing.T) {
	written := in.tracedLines(t, time.Now())
	if len(written) == 0 {
		t.Fatal("no line of the chain has a trace's id")
	}
	var traces map[string]stores.Trace
	eventually(t, "spans of every line", func(ctx context.Context) error {
		pods, err := in.pods(ctx, shop, "")
		if err != nil {
			return err
		}
		if traces, err = in.traces(ctx); err != nil {
			return err
		}
		return lackOfSpans(written, traces, in.byName(pods))
	})
	whole := 0
	for id, trace := range traces {
		spans := map[string]bool{}
		for _, s := range trace.Spans {
			spans[s.SpanID] = true
		}
		if len(spans) > spansPerTrace {
			t.Errorf("trace %s has %d spans, want %d", id, len(spans), spansPerTrace)
		}
		if len(spans) == spansPerTrace {
			whole++
		}
	}
	t.Logf("%d lines with a span, %d traces, %d of them through all services", len(written), len(traces), whole)
	if whole == 0 {
		t.Error("no trace goes through all services")
	}
}

// tracedLines reads the chain's lines from Loki by their structured metadata.
func (in *installation) tracedLines(t *testing.T, until time.Time) (written []tracedLine) {
	t.Helper()
	selector := `{namespace="` + shop + `", container=~"frontend|checkout|payment", stream="stdout"}`
	err := in.loki.Each(t.Context(), selector, in.start.Add(-time.Minute), until, func(e stores.Entry) error {
		line := tracedLine{pod: e.Labels["pod"], trace: e.Metadata["trace_id"], span: e.Metadata["span_id"]}
		for key, value := range map[string]string{"trace_id": line.trace, "span_id": line.span} {
			if value == "" || !strings.Contains(e.Line, `"`+key+`":"`+value+`"`) {
				t.Errorf("metadata %s is %q at line %.300s", key, value, e.Line)
			}
		}
		if _, _, err := nodesim.ParseLine([]byte(e.Line)); err != nil {
			return err
		}
		written = append(written, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return written
}

// traces has every one since the start, by id. A trace that began before its
// next service was there has that part missing, and so is searched by the first.
func (in *installation) traces(ctx context.Context) (map[string]stores.Trace, error) {
	list, err := in.jaeger.Traces(ctx, "frontend", in.start.Add(-time.Minute), time.Now().Add(time.Minute), maxTraces)
	traces := map[string]stores.Trace{}
	for _, t := range list {
		traces[t.TraceID] = t
	}
	return traces, err
}

// lackOfSpans lists lines whose span Jaeger does not have, or has of another pod.
func lackOfSpans(written []tracedLine, traces map[string]stores.Trace, byName map[string]corev1.Pod) error {
	var errs []error
	for _, line := range written {
		if err := lackOfSpan(line, traces[line.trace], byName[line.pod]); err != nil {
			errs = append(errs, err)
		}
	}
	if n := len(errs); n > 10 {
		errs = append(errs[:10], fmt.Errorf("and %d more", n-10))
	}
	return errors.Join(errs...)
}

func lackOfSpan(line tracedLine, trace stores.Trace, p corev1.Pod) error {
	w, _ := workloadOf(line.pod)
	for _, span := range trace.Spans {
		if span.SpanID != line.span {
			continue
		}
		process := trace.Processes[span.ProcessID]
		for tag, want := range map[string]string{
			"k8s.cluster.name": clusterName, "k8s.namespace.name": shop, "k8s.pod.name": line.pod, "k8s.deployment.name": w.name,
			"k8s.pod.uid": string(p.UID), "k8s.node.name": p.Spec.NodeName, "k8s.container.name": w.container,
			"container.image.name": "crowsnest.test/workload",
		} {
			if got := process.Tag(tag); got != want {
				return fmt.Errorf("trace %s: %s of the span of %s is %q, want %q", line.trace, tag, line.pod, got, want)
			}
		}
		if process.ServiceName != w.name {
			return fmt.Errorf("trace %s: service of %s is %q", line.trace, line.pod, process.ServiceName)
		}
		return nil
	}
	return fmt.Errorf("trace %s (%d spans) has no span %s of %s", line.trace, len(trace.Spans), line.span, line.pod)
}

// newTrace is an error unless Jaeger has a trace that began after a time.
func (in *installation) newTrace(ctx context.Context, after time.Time) error {
	if after.IsZero() {
		after = in.start.Add(-time.Minute)
	}
	traces, err := in.jaeger.Traces(ctx, "frontend", after, time.Now().Add(time.Minute), 1)
	if err == nil && len(traces) == 0 {
		err = errors.New("no trace")
	}
	return err
}

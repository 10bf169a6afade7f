package system

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// TraceReport compares the traces that pods sent with Jaeger and Loki.
type TraceReport struct {
	Made    int // by the pods
	Acked   int // by the agent
	Found   int // in Jaeger, whole, with every pod's identity, and in Loki on the lines of its spans
	Missing []string
}

// Complete tells whether every trace arrived.
func (r TraceReport) Complete() bool { return r.Made == r.Acked && r.Acked == r.Found }

// Traces looks for every trace made so far: in Jaeger by service and by id, with
// every span under its parent and the identity of the pod that sent it; in Loki
// by trace id, on the line of each span's pod. What was found is not asked again.
func (s *System) Traces(ctx context.Context) (TraceReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var r TraceReport
	byService, err := s.searchTraces(ctx)
	if err != nil {
		return r, err
	}
	for _, t := range s.Node.Traces() {
		r.Made++
		if t.Acked {
			r.Acked++
		}
		if s.traces[t.ID] {
			r.Found++
			continue
		}
		lack, err := s.lackOf(ctx, t, byService)
		if err != nil {
			return r, err
		}
		if lack == "" {
			s.traces[t.ID] = true
			r.Found++
		} else if len(r.Missing) < 100 {
			r.Missing = append(r.Missing, "trace "+t.ID+": "+lack)
		}
	}
	return r, nil
}

// maxTraces is more than a run makes; Jaeger's search needs a limit.
const maxTraces = 100_000

// searchTraces finds ids by the name of the first service, as a person would.
func (s *System) searchTraces(ctx context.Context) (map[string]stores.Trace, error) {
	from := s.start.Add(-time.Minute)
	found := map[string]stores.Trace{}
	traces, err := s.Jaeger.Traces(ctx, "frontend", from, time.Now().Add(time.Minute), maxTraces)
	for _, t := range traces {
		found[t.TraceID] = t
	}
	return found, err
}

// lackOf says what of a trace did not arrive, "" if all did.
func (s *System) lackOf(ctx context.Context, t nodesim.Trace, byService map[string]stores.Trace) (string, error) {
	if !t.Acked {
		return "not yet acknowledged by the agent", nil
	}
	got, ok := byService[t.ID]
	if !ok {
		return "not found in Jaeger under service frontend", nil
	}
	for _, want := range t.Spans {
		if lack := lackOfSpan(got, want); lack != "" {
			return fmt.Sprintf("span of %s (by %s): %s", want.Service, want.Protocol, lack), nil
		}
	}
	entries, err := s.Loki.Query(ctx, everyLine+` | trace_id="`+t.ID+`"`, t.Made.Add(-time.Minute), t.Made.Add(time.Minute), 100)
	if err != nil {
		return "", err
	}
	for _, want := range t.Spans {
		if !hasLine(entries, want) {
			return "no line of pod " + want.Pod.Name + " in Loki with this trace_id", nil
		}
	}
	return "", nil
}

func lackOfSpan(got stores.Trace, want nodesim.Span) string {
	id := hex.EncodeToString(want.ID[:])
	for _, span := range got.Spans {
		if span.SpanID != id {
			continue
		}
		process := got.Processes[span.ProcessID]
		for tag, value := range map[string]string{
			"k8s.pod.name": want.Pod.Name, "k8s.namespace.name": want.Pod.Namespace, "k8s.deployment.name": want.Pod.Workload.Name,
			"k8s.pod.uid": want.Pod.UID, "k8s.cluster.name": Cluster,
		} {
			if process.Tag(tag) != value {
				return fmt.Sprintf("%s is %q, not %q", tag, process.Tag(tag), value)
			}
		}
		if process.ServiceName != want.Service {
			return fmt.Sprintf("service is %q", process.ServiceName)
		}
		if want.ParentID != [8]byte{} && (len(span.References) != 1 || span.References[0].SpanID != hex.EncodeToString(want.ParentID[:])) {
			return fmt.Sprintf("parent is %v", span.References)
		}
		return ""
	}
	return "not in the trace"
}

func hasLine(entries []stores.Entry, want nodesim.Span) bool {
	for _, e := range entries {
		if e.Labels["pod"] == want.Pod.Name && e.Labels["namespace"] == want.Pod.Namespace &&
			e.Metadata["span_id"] == hex.EncodeToString(want.ID[:]) {
			return true
		}
	}
	return false
}

// FoundTraces counts cheaply what Jaeger has, by id and without a look inside,
// and tells when the newest of them was made. Report.Missing stays empty.
func (s *System) FoundTraces(ctx context.Context) (r TraceReport, newest time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.Node.Traces() {
		r.Made++
		if t.Acked {
			r.Acked++
		}
		if !s.stored[t.ID] {
			got, err := s.Jaeger.Trace(ctx, t.ID)
			if err != nil {
				return r, newest, err
			}
			if got == nil || len(got.Spans) < len(t.Spans) {
				continue
			}
			s.stored[t.ID] = true
		}
		r.Found++
		if t.Made.After(newest) {
			newest = t.Made
		}
	}
	return r, newest, nil
}

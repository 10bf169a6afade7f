package nodesim

import (
	"context"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// collector is an OTLP server that refuses its first requests.
type collector struct {
	ptraceotlp.UnimplementedGRPCServer
	mu      sync.Mutex
	refuse  int
	senders map[string]string // span id -> address
	parents map[string]string // span id -> parent
}

func (c *collector) Export(ctx context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse > 0 {
		c.refuse--
		return ptraceotlp.NewExportResponse(), status.Error(codes.Unavailable, "later")
	}
	from, _ := peer.FromContext(ctx)
	host, _, _ := net.SplitHostPort(from.Addr.String())
	for _, rs := range req.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				c.senders[s.SpanID().String()] = host
				c.parents[s.SpanID().String()] = s.ParentSpanID().String()
			}
		}
	}
	return ptraceotlp.NewExportResponse(), nil
}

func TestSpansComeFromTheirPodsUntilAcknowledged(t *testing.T) {
	c := &collector{refuse: 4, senders: map[string]string{}, parents: map[string]string{}}
	server := grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(server, c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })

	n := start(t, Config{Pods: 5, TracesPerSecond: 50, OTLPEndpoint: l.Addr().String()})
	eventually(t, "twenty traces", func() bool { return len(n.Traces()) >= 20 })
	n.StopWriting()
	eventually(t, "acknowledgement of all", func() bool {
		for _, tr := range n.Traces() {
			if !tr.Acked {
				return false
			}
		}
		return true
	})
	if err := n.TraceErrors(); err != nil {
		t.Errorf("errors remain after all is sent: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	services := map[string]bool{}
	for _, tr := range n.Traces() {
		for i, s := range tr.Spans {
			id := hex.EncodeToString(s.ID[:])
			if c.senders[id] != s.Pod.IP.String() {
				t.Fatalf("span of %s came from %q, not %s", s.Pod.Name, c.senders[id], s.Pod.IP)
			}
			if i > 0 && c.parents[id] != hex.EncodeToString(tr.Spans[i-1].ID[:]) {
				t.Fatalf("span of %s has parent %q", s.Pod.Name, c.parents[id])
			}
			services[s.Service] = true
		}
		checkLoggedOnce(t, n, tr)
	}
	if len(services) != 3 {
		t.Errorf("services %v, want three", services)
	}
}

// checkLoggedOnce wants the trace on one line of each span's pod.
func checkLoggedOnce(t *testing.T, n *Node, tr Trace) {
	t.Helper()
	for _, s := range tr.Spans {
		lines := 0
		for _, line := range readLog(t, []string{s.Pod.Containers[0].log.currentPath()}) {
			if strings.Contains(string(line), tr.ID) && strings.Contains(string(line), hex.EncodeToString(s.ID[:])) {
				lines++
			}
		}
		if lines != 1 {
			t.Fatalf("pod %s has %d lines of trace %s", s.Pod.Name, lines, tr.ID)
		}
	}
}

func TestEndpointDownKeepsSpans(t *testing.T) {
	n := start(t, Config{Pods: 5, TracesPerSecond: 50, OTLPEndpoint: "127.0.0.1:1", JaegerGRPC: "127.0.0.1:1",
		JaegerThriftHTTP: "127.0.0.1:1", Zipkin: "127.0.0.1:1"})
	eventually(t, "traces and a refusal", func() bool { return len(n.Traces()) >= 5 && n.TraceErrors() != nil })
	for _, tr := range n.Traces() {
		if tr.Acked {
			t.Fatal("a trace counts as acknowledged though nobody listens")
		}
	}
}

package nodesim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// sender is a pod's tracing SDK: a queue and a client for each protocol, whose
// connections come from the pod's address.
type sender struct {
	pod    *Pod
	otlp   ptraceotlp.GRPCClient
	jaeger api_v2.CollectorServiceClient
	http   *http.Client
	thrift string // URL
	zipkin string // URL
	conns  []*grpc.ClientConn
	wake   chan struct{}

	mu    sync.Mutex
	queue []*Span
	err   error // of the latest send, nil after a success
}

func newSender(c Config, p *Pod) (*sender, error) {
	s := &sender{pod: p, wake: make(chan struct{}, 1)}
	dial := dialFrom(p)
	s.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, address) },
	}}
	conn, err := s.connect(c.OTLPEndpoint)
	if err != nil {
		return nil, err
	}
	s.otlp = ptraceotlp.NewGRPCClient(conn)
	if c.JaegerGRPC != "" {
		if conn, err = s.connect(c.JaegerGRPC); err != nil {
			return nil, err
		}
		s.jaeger = api_v2.NewCollectorServiceClient(conn)
	}
	s.thrift = "http://" + c.JaegerThriftHTTP + "/api/traces"
	s.zipkin = "http://" + c.Zipkin + "/api/v2/spans"
	return s, nil
}

func (s *sender) connect(endpoint string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///"+endpoint,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dialFrom(s.pod)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, MaxDelay: time.Second},
			MinConnectTimeout: sendTimeout,
		}))
	if err == nil {
		s.conns = append(s.conns, conn)
	}
	return conn, err
}

func (s *sender) close() {
	for _, c := range s.conns {
		_ = c.Close() // nothing is in flight
	}
	s.http.CloseIdleConnections()
}

func (s *sender) put(span *Span) {
	s.mu.Lock()
	s.queue = append(s.queue, span)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// wait returns when there may be spans, false when the context ended.
func (s *sender) wait(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.wake:
		return true
	}
}

// batch is the head of the queue, as far as it has one protocol. It stays
// queued until done.
func (s *sender) batch() []*Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.queue) && n < maxBatchSpans && s.queue[n].Protocol == s.queue[0].Protocol {
		n++
	}
	return append([]*Span(nil), s.queue[:n]...)
}

func (s *sender) done(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = s.queue[n:]
	s.err = nil
}

func (s *sender) queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

func (s *sender) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *sender) lastError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sender) send(ctx context.Context, batch []*Span) error {
	switch protocol(batch[0].Protocol) {
	case jaegerGRPCProtocol:
		_, err := s.jaeger.PostSpans(ctx, &api_v2.PostSpansRequest{Batch: jaegerBatch(batch)})
		return err
	case jaegerThriftProtocol:
		body, err := thriftBatch(ctx, batch)
		if err != nil {
			return err
		}
		return s.post(ctx, s.thrift, "application/vnd.apache.thrift.binary", body)
	case zipkinProtocol:
		body, err := zipkinBatch(batch)
		if err != nil {
			return err
		}
		return s.post(ctx, s.zipkin, "application/json", body)
	}
	answer, err := s.otlp.Export(ctx, ptraceotlp.NewExportRequestFromTraces(otlpBatch(batch)))
	if err != nil {
		return err
	}
	if n := answer.PartialSuccess().RejectedSpans(); n > 0 {
		return fmt.Errorf("%d spans rejected: %s", n, answer.PartialSuccess().ErrorMessage())
	}
	return nil
}

func (s *sender) post(ctx context.Context, url, contentType string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode/100 != 2 {
		return errors.Join(fmt.Errorf("POST %s: HTTP %d: %s", url, resp.StatusCode, text), err)
	}
	return err
}

package nodesim

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// protocol by which a span is sent.
type protocol string

const (
	otlpProtocol         protocol = "otlp"
	jaegerGRPCProtocol   protocol = "jaeger-grpc"
	jaegerThriftProtocol protocol = "jaeger-thrift-http"
	zipkinProtocol       protocol = "zipkin"
)

// Span is one that a simulated pod sent; its pod's address was the sender's.
type Span struct {
	TraceID  [16]byte
	ID       [8]byte
	ParentID [8]byte // zero for the root
	Service  string
	Name     string
	Protocol string
	Pod      *Pod
	Start    time.Time
	Duration time.Duration
	acked    bool // guarded by tracer.mu
}

// Trace of three spans in three services. Each span's pod logged a line with
// its trace and span id.
type Trace struct {
	ID    string // hex
	Spans []Span
	Acked bool // the receiver acknowledged every span
	Made  time.Time
}

const (
	// maxQueuedSpans bounds a pod's unacknowledged spans; beyond, no new traces are made.
	maxQueuedSpans = 20_000
	maxBatchSpans  = 100
	sendTimeout    = 5 * time.Second
	sendRetry      = 250 * time.Millisecond
)

// tracer makes traces and sends them from each pod until acknowledged.
type tracer struct {
	node    *Node
	senders map[*Pod]*sender
	chain   [][]*Pod // the pods of each service, in the order of calls

	stopMake context.CancelFunc
	making   sync.WaitGroup
	stopSend context.CancelFunc
	sending  sync.WaitGroup

	mu     sync.Mutex
	traces []*Trace
}

func (n *Node) startTracer(context.Context) error {
	if n.config.TracesPerSecond == 0 {
		return nil
	}
	t := &tracer{node: n, senders: map[*Pod]*sender{}, chain: make([][]*Pod, 3)}
	sendCtx, stopSend := context.WithCancel(context.Background())
	t.stopSend = stopSend
	for i, service := range []string{"frontend", "checkout", "payment"} {
		for _, p := range n.pods {
			if p.Service != service {
				continue
			}
			s, err := newSender(n.config, p)
			if err != nil {
				t.Close()
				return fmt.Errorf("make trace sender of %s: %w", p.Name, err)
			}
			t.chain[i] = append(t.chain[i], p)
			t.senders[p] = s
			t.sending.Go(func() { t.send(sendCtx, s) })
		}
	}
	makeCtx, stopMake := context.WithCancel(context.Background())
	t.stopMake = stopMake
	t.making.Go(func() { t.make(makeCtx, rand.New(rand.NewPCG(n.config.Seed, 3))) })
	n.tracer = t
	return nil
}

// Traces lists what was made so far.
func (n *Node) Traces() []Trace {
	if n.tracer == nil {
		return nil
	}
	t := n.tracer
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Trace, len(t.traces))
	for i, tr := range t.traces {
		all[i] = *tr
		all[i].Spans = append([]Span(nil), tr.Spans...)
		all[i].Acked = true
		for _, s := range tr.Spans {
			all[i].Acked = all[i].Acked && s.acked
		}
	}
	return all
}

func (t *tracer) stopMaking() {
	t.stopMake()
	t.making.Wait()
}

func (t *tracer) Close() {
	if t.stopMake != nil {
		t.stopMaking()
	}
	t.stopSend()
	t.sending.Wait()
	for _, s := range t.senders {
		s.close()
	}
}

func (t *tracer) make(ctx context.Context, r *rand.Rand) {
	made := 0.0
	start := time.Now()
	every(ctx, 10*time.Millisecond, func() bool {
		for due := time.Since(start).Seconds() * t.node.config.TracesPerSecond; made < due; made++ {
			if t.full() {
				made = due // like an SDK whose queue is full, but nothing is dropped: it was never made
				break
			}
			if err := t.one(r); err != nil {
				t.node.fail(err)
				return false
			}
		}
		return true
	})
}

func (t *tracer) full() bool {
	for _, s := range t.senders {
		if s.queued() >= maxQueuedSpans {
			return true
		}
	}
	return false
}

// one makes a trace: frontend calls checkout, which calls payment.
func (t *tracer) one(r *rand.Rand) error {
	now := time.Now()
	trace := &Trace{Made: now, Spans: make([]Span, len(t.chain))}
	var traceID [16]byte
	random(r, traceID[:])
	trace.ID = hex.EncodeToString(traceID[:])
	var parent [8]byte
	for i, pods := range t.chain {
		pod := pods[r.IntN(len(pods))]
		s := Span{TraceID: traceID, ParentID: parent, Service: pod.Service, Name: "POST /" + pod.Service, Pod: pod,
			Start: now.Add(-time.Duration(30-8*i) * time.Millisecond), Duration: time.Duration(30-10*i) * time.Millisecond}
		random(r, s.ID[:])
		s.Protocol = string(t.protocolOf(i, r))
		parent = s.ID
		trace.Spans[i] = s
		if err := pod.Containers[0].log.write(time.Now(), trace.ID, hex.EncodeToString(s.ID[:])); err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.traces = append(t.traces, trace)
	t.mu.Unlock()
	for i := range trace.Spans {
		t.senders[trace.Spans[i].Pod].put(&trace.Spans[i])
	}
	return nil
}

// protocolOf: payment is the old service that speaks Jaeger and Zipkin, too.
func (t *tracer) protocolOf(hop int, r *rand.Rand) protocol {
	c := t.node.config
	if hop < 2 {
		return otlpProtocol
	}
	choice := []protocol{otlpProtocol}
	if c.JaegerGRPC != "" {
		choice = append(choice, jaegerGRPCProtocol)
	}
	if c.JaegerThriftHTTP != "" {
		choice = append(choice, jaegerThriftProtocol)
	}
	if c.Zipkin != "" {
		choice = append(choice, zipkinProtocol)
	}
	return choice[r.IntN(len(choice))]
}

// send delivers a pod's spans, each batch again until it is acknowledged.
func (t *tracer) send(ctx context.Context, s *sender) {
	for {
		batch := s.batch()
		if len(batch) == 0 {
			if !s.wait(ctx) {
				return
			}
			continue
		}
		sendCtx, cancel := context.WithTimeout(ctx, sendTimeout)
		err := s.send(sendCtx, batch)
		cancel()
		if err == nil {
			s.done(len(batch))
			t.mu.Lock()
			for _, span := range batch {
				span.acked = true
			}
			t.mu.Unlock()
			continue
		}
		s.failed(err)
		retry := time.NewTimer(sendRetry)
		select {
		case <-ctx.Done():
			retry.Stop()
			return
		case <-retry.C:
		}
	}
}

// TraceErrors tells the latest error of each pod that could not send.
func (n *Node) TraceErrors() error {
	if n.tracer == nil {
		return nil
	}
	var errs []error
	for p, s := range n.tracer.senders {
		if err := s.lastError(); err != nil {
			errs = append(errs, fmt.Errorf("send spans of %s from %s: %w", p.Name, p.IP, err))
		}
	}
	return errors.Join(errs...)
}

func random(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0] |= 1 // never all zero
}

// dialFrom dials with the pod's address as the sender's.
func dialFrom(p *Pod) func(context.Context, string) (net.Conn, error) {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: p.IP.AsSlice()}, Timeout: sendTimeout}
	return func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
}

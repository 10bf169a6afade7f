package jaeger

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer decides about one request, given the names of its spans. A nil answer
// takes everything.
type answer func(ctx context.Context, spans []string) (rejected int64, err error)

// sink is a Jaeger on loopback that gives answers on demand, by both protocols.
type sink struct {
	ptraceotlp.UnimplementedGRPCServer
	addr string
	stop func()

	mu       sync.Mutex
	answer   answer
	taken    map[string]int // spans of requests answered without an error, by name
	requests int
}

func startSink(t testing.TB, addr string, a answer) *sink {
	t.Helper()
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: lis.Addr().String(), answer: a, taken: map[string]int{}}
	server := grpc.NewServer(grpc.ForceServerCodecV2(sinkCodec{}))
	ptraceotlp.RegisterGRPCServer(server, s)
	api_v2.RegisterCollectorServiceServer(server, (*batchSink)(s))
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(lis) })
	s.stop = sync.OnceFunc(func() { server.Stop(); served.Wait() })
	t.Cleanup(s.stop)
	return s
}

func (s *sink) decide(ctx context.Context, spans []string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	var rejected int64
	if s.answer != nil {
		var err error
		if rejected, err = s.answer(ctx, spans); err != nil {
			return 0, err
		}
	}
	for _, name := range spans {
		s.taken[name]++
	}
	return rejected, nil
}

func (s *sink) Export(ctx context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	var names []string
	eachSpan(req.Traces(), func(_ ptrace.ResourceSpans, _ ptrace.ScopeSpans, span ptrace.Span) {
		names = append(names, span.Name())
	})
	resp := ptraceotlp.NewExportResponse()
	rejected, err := s.decide(ctx, names)
	if err != nil {
		return resp, err
	}
	if rejected != 0 {
		resp.PartialSuccess().SetRejectedSpans(rejected)
		resp.PartialSuccess().SetErrorMessage("storage is read-only for these")
	}
	return resp, nil
}

type batchSink sink

func (s *batchSink) PostSpans(ctx context.Context, req *api_v2.PostSpansRequest) (*api_v2.PostSpansResponse, error) {
	var names []string
	for _, span := range req.Batch.Spans {
		names = append(names, span.OperationName)
	}
	_, err := (*sink)(s).decide(ctx, names)
	return &api_v2.PostSpansResponse{}, err
}

// sinkCodec is the server's side of batchCodec, and pdata's for OTLP.
type sinkCodec struct{}

func (sinkCodec) Name() string { return "proto" }

func (sinkCodec) Marshal(v any) (mem.BufferSlice, error) {
	var data []byte
	var err error
	switch v := v.(type) {
	case interface{ Marshal() ([]byte, error) }:
		data, err = v.Marshal()
	case interface {
		SizeProto() int
		MarshalProto([]byte) int
	}:
		data = make([]byte, v.SizeProto())
		v.MarshalProto(data)
	default:
		return nil, fmt.Errorf("marshal %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, err
}

func (sinkCodec) Unmarshal(data mem.BufferSlice, v any) error {
	switch v := v.(type) {
	case interface{ Unmarshal([]byte) error }:
		return v.Unmarshal(data.Materialize())
	case interface{ UnmarshalProto([]byte) error }:
		return v.UnmarshalProto(data.Materialize())
	}
	return fmt.Errorf("unmarshal %T", v)
}

// running is an exporter under test and its telemetry.
type running struct {
	exporter.Traces
	t   testing.TB
	tel *componenttest.Telemetry
}

// start makes an exporter with quick retries from the factory.
func start(t testing.TB, protocol, endpoint string, change func(*Config)) *running {
	t.Helper()
	factory := NewFactory()
	cfg := factory.CreateDefaultConfig().(*Config)
	cfg.Protocol = protocol
	cfg.ClientConfig.Endpoint = endpoint
	cfg.ClientConfig.TLS.Insecure = true
	cfg.RetryConfig.InitialInterval = 10 * time.Millisecond
	cfg.RetryConfig.MaxInterval = 100 * time.Millisecond
	if change != nil {
		change(cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	tel := componenttest.NewTelemetry()
	set := settings(t)
	set.TelemetrySettings = tel.NewTelemetrySettings()
	e, err := factory.CreateTraces(t.Context(), set, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 { // twice on purpose
			if err := e.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &running{Traces: e, t: t, tel: tel}
}

func settings(testing.TB) exporter.Settings { return exportertest.NewNopSettings(NewFactory().Type()) }

// count sums a counter, over the data points that carry all of the attributes
// given as key, value, key, value.
func (r *running) count(name string, attrs ...string) int {
	r.t.Helper()
	return int(counters.Sum(r.t, r.tel, name, attrs...))
}

func (r *running) wantLedger(delivered int, dropped map[string]int) {
	r.t.Helper()
	if got := r.count("crowsnest_delivered_items"); got != delivered {
		r.t.Errorf("delivered %d, want %d", got, delivered)
	}
	total := 0
	for reason, n := range dropped {
		total += n
		if got := r.count("crowsnest_dropped_items", "reason", reason); got != n {
			r.t.Errorf("dropped with reason %s: %d, want %d", reason, got, n)
		}
	}
	if got := r.count("crowsnest_dropped_items"); got != total {
		r.t.Errorf("dropped %d, want %d", got, total)
	}
}

// someTraces makes n spans named "span-0"…, over three resources of two scopes.
func someTraces(n int) ptrace.Traces {
	td := ptrace.NewTraces()
	var scopes []ptrace.ScopeSpans
	for r := range 3 {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", fmt.Sprintf("service-%d", r))
		rs.Resource().Attributes().PutStr("k8s.pod.name", fmt.Sprintf("pod-%d", r))
		rs.SetSchemaUrl("https://opentelemetry.io/schemas/1.40.0")
		for range 2 {
			ss := rs.ScopeSpans().AppendEmpty()
			ss.Scope().SetName("library")
			scopes = append(scopes, ss)
		}
	}
	for i := range n {
		span := scopes[i%len(scopes)].Spans().AppendEmpty()
		span.SetName(fmt.Sprintf("span-%d", i))
		span.SetTraceID([16]byte{1, 15: byte(i)})
		span.SetSpanID([8]byte{2, 6: byte(i >> 8), 7: byte(i)})
		span.SetStartTimestamp(1_700_000_000_000_000_000)
		span.SetEndTimestamp(1_700_000_000_001_000_000)
		span.Attributes().PutStr("http.request.method", "GET")
	}
	return td
}

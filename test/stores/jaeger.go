package stores

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Jaeger all-in-one (v1) with its store in memory: a restart forgets all.
type Jaeger struct {
	*store
	URL      string // query API, http://127.0.0.1:PORT
	OTLPGRPC string // host:port
	OTLPHTTP string // host:port; traces go to /v1/traces
	GRPC     string // host:port of api_v2 PostSpans
}

// StartJaeger starts one; end it with Stop.
func StartJaeger(ctx context.Context, o Options) (*Jaeger, error) {
	program := jaegerProgram
	var monitor []string
	if o.MetricsURL != "" {
		program.env = append(slices.Clone(program.env), "METRICS_STORAGE_TYPE=prometheus")
		monitor = []string{"--prometheus.server-url=" + o.MetricsURL,
			// As the span metrics connector and the Prometheus exporter name them.
			"--prometheus.query.normalize-calls", "--prometheus.query.normalize-duration"}
	}
	s, ports, err := startStore(ctx, program, o, 4, "/api/services", func(_ string, ports []int) ([]string, error) {
		return append(monitor,
			"--query.http-server.host-port="+loopback(ports[0]),
			"--collector.otlp.grpc.host-port="+loopback(ports[1]),
			"--collector.otlp.http.host-port="+loopback(ports[2]),
			"--collector.grpc-server.host-port="+loopback(ports[3]),
			// Not used, and not to be in the way of another Jaeger.
			"--query.grpc-server.host-port=127.0.0.1:0",
			"--collector.http-server.host-port=127.0.0.1:0",
			"--admin.http.host-port=127.0.0.1:0",
			"--http-server.host-port=127.0.0.1:0",
			"--processor.jaeger-binary.server-host-port=127.0.0.1:0",
			"--processor.jaeger-compact.server-host-port=127.0.0.1:0",
			"--processor.zipkin-compact.server-host-port=127.0.0.1:0",
			"--log-level=warn",
			// Its own traces would go to localhost:4317, whoever listens there.
			"--query.enable-tracing=false",
		), nil
	})
	if err != nil {
		return nil, err
	}
	return &Jaeger{store: s, URL: s.base,
		OTLPGRPC: loopback(ports[1]), OTLPHTTP: loopback(ports[2]), GRPC: loopback(ports[3])}, nil
}

// TestJaeger starts one for the time of a test.
func TestJaeger(t testing.TB, o Options) *Jaeger {
	t.Helper()
	j, err := StartJaeger(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stopAfter(t, j.store)
	return j
}

// CallRate is what the Monitor tab shows of a service: calls per second of its
// server spans, each minute of the last hour.
func (j *Jaeger) CallRate(ctx context.Context, service string) ([]float64, error) {
	var answer struct {
		Metrics []struct {
			MetricPoints []struct {
				GaugeValue struct{ DoubleValue float64 }
			}
		}
	}
	query := url.Values{"service": {service}, "ratePer": {"60000"}, "step": {"5000"}, "lookback": {"3600000"}}
	if err := j.get(ctx, "/api/metrics/calls", query, nil, &answer); err != nil {
		return nil, fmt.Errorf("ask Jaeger for the call rate of %s: %w", service, err)
	}
	var rates []float64
	for _, m := range answer.Metrics {
		for _, p := range m.MetricPoints {
			rates = append(rates, p.GaugeValue.DoubleValue)
		}
	}
	return rates, nil
}

// Trace is a trace as Jaeger's query API gives it.
type Trace struct {
	TraceID   string             `json:"traceID"`
	Spans     []Span             `json:"spans"`
	Processes map[string]Process `json:"processes"`
}

// Span of a trace; times are microseconds.
type Span struct {
	TraceID       string      `json:"traceID"`
	SpanID        string      `json:"spanID"`
	OperationName string      `json:"operationName"`
	References    []Reference `json:"references"`
	StartTime     int64       `json:"startTime"`
	Duration      int64       `json:"duration"`
	Tags          []Tag       `json:"tags"`
	Logs          []Log       `json:"logs"`
	ProcessID     string      `json:"processID"`
	Warnings      []string    `json:"warnings"`
}

// Reference to another span; RefType is CHILD_OF or FOLLOWS_FROM.
type Reference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

// Log is an event of a span.
type Log struct {
	Timestamp int64 `json:"timestamp"` // microseconds
	Fields    []Tag `json:"fields"`
}

// Tag is an attribute; Value is string, bool, float64 as JSON has it.
type Tag struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

// Process is what OpenTelemetry calls a resource.
type Process struct {
	ServiceName string `json:"serviceName"`
	Tags        []Tag  `json:"tags"`
}

// Tag returns the value of a process tag as text, "" if there is none.
func (p Process) Tag(key string) string {
	for _, t := range p.Tags {
		if t.Key == key {
			return fmt.Sprint(t.Value)
		}
	}
	return ""
}

// Trace returns a trace by its id (hex), nil if Jaeger does not have it.
func (j *Jaeger) Trace(ctx context.Context, id string) (*Trace, error) {
	var answer struct {
		Data []Trace `json:"data"`
	}
	err := j.Get(ctx, "/api/traces/"+id, nil, &answer)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(answer.Data) == 0 {
		return nil, nil
	}
	return &answer.Data[0], nil
}

// Services lists the service names that Jaeger has spans of.
func (j *Jaeger) Services(ctx context.Context) ([]string, error) {
	var answer struct {
		Data []string `json:"data"`
	}
	err := j.Get(ctx, "/api/services", nil, &answer)
	return answer.Data, err
}

// Traces returns up to limit traces that have a span of a service which started
// in [start, end].
func (j *Jaeger) Traces(ctx context.Context, service string, start, end time.Time, limit int) ([]Trace, error) {
	var answer struct {
		Data []Trace `json:"data"`
	}
	err := j.Get(ctx, "/api/traces", url.Values{
		"service": {service}, "limit": {strconv.Itoa(limit)},
		"start": {strconv.FormatInt(start.UnixMicro(), 10)}, "end": {strconv.FormatInt(end.UnixMicro(), 10)},
	}, &answer)
	return answer.Data, err
}

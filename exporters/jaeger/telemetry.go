package jaeger

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/status"
)

const scope = "github.com/crowsnest-o11y/crowsnest/exporters/jaeger"

// telemetry is what the exporter says about itself besides the ledger.
type telemetry struct {
	requests  metric.Int64Counter
	duration  metric.Float64Histogram
	component attribute.KeyValue
}

func newTelemetry(mp metric.MeterProvider, component string) (*telemetry, error) {
	meter := mp.Meter(scope)
	t := &telemetry{component: attribute.String("component", component)}
	var err error
	if t.requests, err = meter.Int64Counter("crowsnest_jaeger_requests",
		metric.WithDescription("Requests to Jaeger by gRPC status code of the answer."),
		metric.WithUnit("{request}")); err != nil {
		return nil, fmt.Errorf("make counter of requests: %w", err)
	}
	if t.duration, err = meter.Float64Histogram("crowsnest_jaeger_request_duration_seconds",
		metric.WithDescription("Time from sending a request to Jaeger to its answer."),
		metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)); err != nil {
		return nil, fmt.Errorf("make histogram of durations: %w", err)
	}
	return t, nil
}

// answered records one answer.
func (t *telemetry) answered(ctx context.Context, began time.Time, err error) {
	t.requests.Add(ctx, 1, metric.WithAttributes(t.component, attribute.String("code", status.Code(err).String())))
	t.duration.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(t.component))
}

package terminations

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// telemetry is what the receiver tells about itself.
type telemetry struct {
	stream   metric.Int64Gauge
	events   metric.Int64Counter
	failures metric.Int64Counter
	exits    metric.Int64Counter
	series   metric.Int64Gauge
	lost     metric.Int64Counter
}

func newTelemetry(mp metric.MeterProvider) (*telemetry, error) {
	meter := mp.Meter("github.com/crowsnest-o11y/crowsnest/receivers/terminations")
	var t telemetry
	errs := make([]error, 6)
	t.stream, errs[0] = meter.Int64Gauge("crowsnest_terminations_stream_up",
		metric.WithDescription("1 while the runtime's stream of container events brings events, 0 after it broke, until it brings the next; exits are then found by listing."))
	t.events, errs[1] = meter.Int64Counter("crowsnest_terminations_events",
		metric.WithDescription("Events of containers that started or stopped."), metric.WithUnit("{event}"))
	t.failures, errs[2] = meter.Int64Counter("crowsnest_terminations_failures",
		metric.WithDescription("Failed operations, by operation; each is tried again."), metric.WithUnit("{operation}"))
	t.exits, errs[3] = meter.Int64Counter("crowsnest_terminations_exits",
		metric.WithDescription("Container exits counted, by what brought the news."), metric.WithUnit("{exit}"))
	t.series, errs[4] = meter.Int64Gauge("crowsnest_terminations_series",
		metric.WithDescription("Series that are kept."), metric.WithUnit("{series}"))
	t.lost, errs[5] = meter.Int64Counter("crowsnest_terminations_untracked",
		metric.WithDescription("Exits and starts that were not counted because too many containers are remembered already."), metric.WithUnit("{container}"))
	for _, operation := range []string{"events", "list", "status", "state", "cgroups"} {
		t.failures.Add(context.Background(), 0, metric.WithAttributes(attribute.String("operation", operation)))
	}
	t.lost.Add(context.Background(), 0)
	return &t, errors.Join(errs...)
}

func (t *telemetry) connected(up bool) {
	value := int64(0)
	if up {
		value = 1
	}
	t.stream.Record(context.Background(), value)
}

func (t *telemetry) event() { t.events.Add(context.Background(), 1) }

func (t *telemetry) failed(operation string) {
	t.failures.Add(context.Background(), 1, metric.WithAttributes(attribute.String("operation", operation)))
}

func (t *telemetry) exit(source string) {
	t.exits.Add(context.Background(), 1, metric.WithAttributes(attribute.String("source", source)))
}

func (t *telemetry) size(series, untracked int) {
	t.series.Record(context.Background(), int64(series))
	t.lost.Add(context.Background(), int64(untracked))
}

package kubeevents

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/crowsnest-o11y/crowsnest/receivers/kubeevents"

// telemetry is what the receiver tells about itself.
type telemetry struct {
	events    metric.Int64Counter
	errors    metric.Int64Counter
	refusals  metric.Int64Counter
	cutFields metric.Int64Counter
	delay     metric.Float64Histogram
}

func newTelemetry(mp metric.MeterProvider) (*telemetry, error) {
	meter := mp.Meter(scope)
	var t telemetry
	errs := make([]error, 5)
	t.events, errs[0] = meter.Int64Counter("crowsnest_kubeevents_events",
		metric.WithDescription("Occurrences of Kubernetes events that the pipeline took, by type."), metric.WithUnit("{event}"))
	t.errors, errs[1] = meter.Int64Counter("crowsnest_kubeevents_errors",
		metric.WithDescription("Errors of reading events from the API server, by reason; reading is tried again."), metric.WithUnit("{error}"))
	t.refusals, errs[2] = meter.Int64Counter("crowsnest_kubeevents_refusals",
		metric.WithDescription("Batches that the pipeline did not take; they are sent again."), metric.WithUnit("{batch}"))
	t.cutFields, errs[3] = meter.Int64Counter("crowsnest_kubeevents_cut_fields",
		metric.WithDescription("Fields of events that were cut since they are longer than the bound."), metric.WithUnit("{field}"))
	t.delay, errs[4] = meter.Float64Histogram("crowsnest_kubeevents_delay",
		metric.WithDescription("Time from an occurrence, as its sender states it, until the pipeline took it."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600))
	return &t, errors.Join(errs...)
}

func (t *telemetry) took(events []*event) {
	now := time.Now()
	for _, e := range events {
		kind := e.kind
		if kind != "Normal" && kind != "Warning" {
			kind = "other"
		}
		t.events.Add(context.Background(), 1, metric.WithAttributes(attribute.String("type", kind)))
		t.delay.Record(context.Background(), max(0, now.Sub(e.at).Seconds()))
	}
}

func (t *telemetry) failed(reason string) {
	t.errors.Add(context.Background(), 1, metric.WithAttributes(attribute.String("reason", reason)))
}

func (t *telemetry) refused() { t.refusals.Add(context.Background(), 1) }

func (t *telemetry) cuts(fields int) {
	if fields > 0 {
		t.cutFields.Add(context.Background(), int64(fields))
	}
}

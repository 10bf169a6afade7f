package leader

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// telemetry is what the extension tells about itself.
type telemetry struct {
	leads  metric.Int64Gauge
	terms  metric.Int64Counter
	errors metric.Int64Counter
	id     metric.MeasurementOption
}

func newTelemetry(mp metric.MeterProvider, component string) (*telemetry, error) {
	meter := mp.Meter("github.com/crowsnest-o11y/crowsnest/pipeline/leader")
	t := &telemetry{id: metric.WithAttributeSet(attribute.NewSet(attribute.String("component", component)))}
	var err1, err2, err3 error
	t.leads, err1 = meter.Int64Gauge("crowsnest_leader_leads",
		metric.WithDescription("1 while this process leads."))
	t.terms, err2 = meter.Int64Counter("crowsnest_leader_terms",
		metric.WithDescription("Times that this process became the leader."), metric.WithUnit("{term}"))
	t.errors, err3 = meter.Int64Counter("crowsnest_leader_lease_errors",
		metric.WithDescription("Requests for the lease that failed."), metric.WithUnit("{error}"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("make instruments: %w", err)
	}
	t.leads.Record(context.Background(), 0, t.id)
	t.terms.Add(context.Background(), 0, t.id)
	t.errors.Add(context.Background(), 0, t.id)
	return t, nil
}

func (t *telemetry) leading(leads bool) {
	if !leads {
		t.leads.Record(context.Background(), 0, t.id)
		return
	}
	t.leads.Record(context.Background(), 1, t.id)
	t.terms.Add(context.Background(), 1, t.id)
}

func (t *telemetry) failed() { t.errors.Add(context.Background(), 1, t.id) }

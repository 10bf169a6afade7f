package loki

import (
	"context"
	"fmt"
	"strconv"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/crowsnest-o11y/crowsnest/exporters/loki"

// telemetry counts what the ledger does not: pushes rather than records, and
// records that were delivered, but not whole.
type telemetry struct {
	requests     metric.Int64Counter
	requestBytes metric.Int64Counter
	bisects      metric.Int64Counter
	retries      metric.Int64Counter
	cutLines     metric.Int64Counter
	leftOut      metric.Int64Counter
	component    attribute.KeyValue
	base         metric.MeasurementOption
}

func newTelemetry(set component.TelemetrySettings, id component.ID) (*telemetry, error) {
	meter := set.MeterProvider.Meter(scope)
	t := &telemetry{component: attribute.String("component", id.String())}
	t.base = metric.WithAttributeSet(attribute.NewSet(t.component))
	for _, c := range []struct {
		counter           *metric.Int64Counter
		name, unit, about string
	}{
		{&t.requests, "crowsnest_loki_requests", "{request}", "Pushes by the code of Loki's answer; \"none\" without one."},
		{&t.requestBytes, "crowsnest_loki_request_bytes", "By", "Compressed bytes pushed, repeated ones included."},
		{&t.bisects, "crowsnest_loki_bisects", "{bisect}", "Times a refused push was halved to find what Loki refused."},
		{&t.retries, "crowsnest_loki_retries", "{request}", "Pushes that Loki did not take for now and that are repeated."},
		{&t.cutLines, "crowsnest_loki_truncated_lines", "{record}", "Lines delivered cut to Loki's limit."},
		{&t.leftOut, "crowsnest_loki_omitted_attributes", "{attribute}", "Attributes left out of delivered records: over Loki's limits or second of their name."},
	} {
		counter, err := meter.Int64Counter(c.name, metric.WithUnit(c.unit), metric.WithDescription(c.about))
		if err != nil {
			return nil, fmt.Errorf("make counter %s: %w", c.name, err)
		}
		*c.counter = counter
		if c.counter != &t.requests {
			counter.Add(context.Background(), 0, t.base)
		}
	}
	return t, nil
}

func (t *telemetry) requested(code, bytes int) {
	text := "none"
	if code != 0 {
		text = strconv.Itoa(code)
	}
	t.requests.Add(context.Background(), 1, metric.WithAttributes(t.component, attribute.String("code", text)))
	t.requestBytes.Add(context.Background(), int64(bytes), t.base)
}

func (t *telemetry) bisected() { t.bisects.Add(context.Background(), 1, t.base) }
func (t *telemetry) retried()  { t.retries.Add(context.Background(), 1, t.base) }

func (t *telemetry) cut(c cuts) {
	t.cutLines.Add(context.Background(), int64(c.lines), t.base)
	t.leftOut.Add(context.Background(), int64(c.attributes), t.base)
}

package cri

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// telemetry is what the receiver tells about itself.
type telemetry struct {
	scrapes  metric.Int64Counter
	duration metric.Float64Histogram
	series   metric.Int64Gauge
	stale    metric.Int64Counter
}

func newTelemetry(mp metric.MeterProvider) (*telemetry, error) {
	meter := mp.Meter("github.com/crowsnest-o11y/crowsnest/receivers/cri")
	var t telemetry
	errs := make([]error, 4)
	t.scrapes, errs[0] = meter.Int64Counter("crowsnest_cri_scrapes",
		metric.WithDescription("Scrapes of the container runtime by outcome; all but ok left its series without values."), metric.WithUnit("{scrape}"))
	t.duration, errs[1] = meter.Float64Histogram("crowsnest_cri_scrape_duration",
		metric.WithDescription("Time that the container runtime takes to answer."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	t.series, errs[2] = meter.Int64Gauge("crowsnest_cri_series",
		metric.WithDescription("Series made of the last scrape."), metric.WithUnit("{series}"))
	t.stale, errs[3] = meter.Int64Counter("crowsnest_cri_stale_markers",
		metric.WithDescription("Points sent to mark that a series is gone."), metric.WithUnit("{point}"))
	for _, outcome := range outcomes {
		t.scrapes.Add(context.Background(), 0, metric.WithAttributes(attribute.String("outcome", outcome)))
	}
	return &t, errors.Join(errs...)
}

// record counts one scrape.
func (t *telemetry) record(outcome string, took time.Duration, series, stale int) {
	ctx := context.Background()
	t.scrapes.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
	t.duration.Record(ctx, took.Seconds())
	t.series.Record(ctx, int64(series))
	t.stale.Add(ctx, int64(stale))
}

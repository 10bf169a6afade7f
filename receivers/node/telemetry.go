package node

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// telemetry is what the receiver tells about itself. How each collector fares
// is in its series, as node_exporter has them (node_scrape_collector_success).
type telemetry struct {
	duration   metric.Float64Histogram
	series     metric.Int64Gauge
	hanging    metric.Int64Gauge
	stale      metric.Int64Counter
	duplicates metric.Int64Counter
}

func newTelemetry(mp metric.MeterProvider) (*telemetry, error) {
	meter := mp.Meter("github.com/crowsnest-o11y/crowsnest/receivers/node")
	var t telemetry
	errs := make([]error, 5)
	t.duration, errs[0] = meter.Float64Histogram("crowsnest_node_collection_duration",
		metric.WithDescription("Time to collect the node's metrics."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	t.series, errs[1] = meter.Int64Gauge("crowsnest_node_series",
		metric.WithDescription("Series of the last collection."), metric.WithUnit("{series}"))
	t.hanging, errs[2] = meter.Int64Gauge("crowsnest_node_hanging_collectors",
		metric.WithDescription("Collectors that had not ended in time at the last collection."), metric.WithUnit("{collector}"))
	t.stale, errs[3] = meter.Int64Counter("crowsnest_node_stale_markers",
		metric.WithDescription("Points sent to mark that a series is gone."), metric.WithUnit("{point}"))
	t.duplicates, errs[4] = meter.Int64Counter("crowsnest_node_duplicates",
		metric.WithDescription("Samples ignored because another collector gave their series already."), metric.WithUnit("{sample}"))
	return &t, errors.Join(errs...)
}

// record counts one collection.
func (t *telemetry) record(took time.Duration, series, hanging int, counts tally) {
	ctx := context.Background()
	t.duration.Record(ctx, took.Seconds())
	t.series.Record(ctx, int64(series))
	t.hanging.Record(ctx, int64(hanging))
	t.stale.Add(ctx, int64(counts.stale))
	t.duplicates.Add(ctx, int64(counts.duplicates))
}

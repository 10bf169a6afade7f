package kubelet

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// telemetry is what the receiver tells about itself, each by page.
type telemetry struct {
	scrapes    metric.Int64Counter
	duration   metric.Float64Histogram
	series     metric.Int64Gauge
	stale      metric.Int64Counter
	duplicates metric.Int64Counter
	filtered   metric.Int64Counter
}

func newTelemetry(mp metric.MeterProvider) (*telemetry, error) {
	meter := mp.Meter("github.com/crowsnest-o11y/crowsnest/receivers/kubelet")
	var t telemetry
	errs := make([]error, 6)
	t.scrapes, errs[0] = meter.Int64Counter("crowsnest_kubelet_scrapes",
		metric.WithDescription("Scrapes of a kubelet's page by outcome; all but ok left the page's series without values."), metric.WithUnit("{scrape}"))
	t.duration, errs[1] = meter.Float64Histogram("crowsnest_kubelet_scrape_duration",
		metric.WithDescription("Time to get and read a kubelet's page."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	t.series, errs[2] = meter.Int64Gauge("crowsnest_kubelet_series",
		metric.WithDescription("Series taken from the page last."), metric.WithUnit("{series}"))
	t.stale, errs[3] = meter.Int64Counter("crowsnest_kubelet_stale_markers",
		metric.WithDescription("Points sent to mark that a series is gone."), metric.WithUnit("{point}"))
	t.duplicates, errs[4] = meter.Int64Counter("crowsnest_kubelet_duplicates",
		metric.WithDescription("Samples ignored because the page had their series already."), metric.WithUnit("{sample}"))
	t.filtered, errs[5] = meter.Int64Counter("crowsnest_kubelet_filtered",
		metric.WithDescription("Samples left out as keep and drop say."), metric.WithUnit("{sample}"))
	return &t, errors.Join(errs...)
}

// record counts one scrape.
func (t *telemetry) record(path, outcome string, took time.Duration, series int, counts tally) {
	ctx := context.Background()
	page := metric.WithAttributeSet(attribute.NewSet(attribute.String("path", path)))
	t.scrapes.Add(ctx, 1, metric.WithAttributes(attribute.String("path", path), attribute.String("outcome", outcome)))
	t.duration.Record(ctx, took.Seconds(), page)
	t.series.Record(ctx, int64(series), page)
	t.stale.Add(ctx, int64(counts.stale), page)
	t.duplicates.Add(ctx, int64(counts.duplicates), page)
	t.filtered.Add(ctx, int64(counts.filtered), page)
}

package scrape

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelmetric "go.opentelemetry.io/otel/metric"
)

// telemetry is what the receiver tells about itself, by source of targets.
type telemetry struct {
	scrapes    otelmetric.Int64Counter
	duration   otelmetric.Float64Histogram
	samples    otelmetric.Int64Counter
	stale      otelmetric.Int64Counter
	duplicates otelmetric.Int64Counter
	refused    otelmetric.Int64Counter
	targets    otelmetric.Int64Gauge
	memory     otelmetric.Int64ObservableGauge
	watching   otelmetric.Registration
}

// newTelemetry is told the receiver's id: of several in a program, each has a
// cache of its own.
func newTelemetry(mp otelmetric.MeterProvider, id string, series *budget) (*telemetry, error) {
	meter := mp.Meter("github.com/crowsnest-o11y/crowsnest/receivers/scrape")
	var t telemetry
	errs := make([]error, 9)
	t.scrapes, errs[0] = meter.Int64Counter("crowsnest_scrape_scrapes",
		otelmetric.WithDescription("Scrapes by outcome; all but ok left the target's series without values."), otelmetric.WithUnit("{scrape}"))
	t.duration, errs[1] = meter.Float64Histogram("crowsnest_scrape_scrape_duration",
		otelmetric.WithDescription("Time to get and read a page."), otelmetric.WithUnit("s"),
		otelmetric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	t.samples, errs[2] = meter.Int64Counter("crowsnest_scrape_samples",
		otelmetric.WithDescription("Samples of pages, after metric relabelling."), otelmetric.WithUnit("{sample}"))
	t.stale, errs[3] = meter.Int64Counter("crowsnest_scrape_stale_markers",
		otelmetric.WithDescription("Points sent to mark that a series is gone."), otelmetric.WithUnit("{point}"))
	t.duplicates, errs[4] = meter.Int64Counter("crowsnest_scrape_duplicates",
		otelmetric.WithDescription("Samples ignored because the page had their series already."), otelmetric.WithUnit("{sample}"))
	t.refused, errs[5] = meter.Int64Counter("crowsnest_scrape_refused_targets",
		otelmetric.WithDescription("Targets that are not scraped since what describes them cannot be followed, by reason; counted each time that is found."), otelmetric.WithUnit("{target}"))
	t.targets, errs[6] = meter.Int64Gauge("crowsnest_scrape_targets",
		otelmetric.WithDescription("Targets that are scraped."), otelmetric.WithUnit("{target}"))
	t.memory, errs[7] = meter.Int64ObservableGauge("crowsnest_scrape_cache_size",
		otelmetric.WithDescription("Estimated size of what is remembered of all pages."), otelmetric.WithUnit("By"))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	component := otelmetric.WithAttributes(attribute.String("component", id))
	t.watching, errs[8] = meter.RegisterCallback(func(_ context.Context, o otelmetric.Observer) error {
		o.ObserveInt64(t.memory, series.used.Load(), component)
		return nil
	}, t.memory)
	return &t, errs[8]
}

func (t *telemetry) stop() error {
	if err := t.watching.Unregister(); err != nil {
		return err
	}
	return nil
}

// record counts one scrape; outcome "" is the end of a target.
func (t *telemetry) record(source, outcome string, took time.Duration, counts tally) {
	ctx := context.Background()
	by := otelmetric.WithAttributeSet(attribute.NewSet(attribute.String("source", source)))
	if outcome != "" {
		t.scrapes.Add(ctx, 1, otelmetric.WithAttributes(attribute.String("source", source), attribute.String("outcome", outcome)))
		t.duration.Record(ctx, took.Seconds(), by)
	}
	t.samples.Add(ctx, int64(counts.kept), by)
	t.stale.Add(ctx, int64(counts.stale), by)
	t.duplicates.Add(ctx, int64(counts.duplicates), by)
}

func (t *telemetry) refuse(source, reason string, n int) {
	t.refused.Add(context.Background(), int64(n), otelmetric.WithAttributes(attribute.String("source", source), attribute.String("reason", reason)))
}

func (t *telemetry) count(targets map[string]int) {
	for source, n := range targets {
		t.targets.Record(context.Background(), int64(n), otelmetric.WithAttributes(attribute.String("source", source)))
	}
}

package prometheus

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

const scope = "github.com/crowsnest-o11y/crowsnest/exporters/prometheus"

// telemetry counts what the ledger does not: it is in samples (one per series),
// the ledger in data points.
type telemetry struct {
	log        *zap.Logger
	complaints *complaint.Log
	component  attribute.KeyValue

	requests  metric.Int64Counter
	samples   metric.Int64Counter
	retries   metric.Int64Counter
	refused   metric.Int64Counter
	exemplars metric.Int64Counter
	untracked metric.Int64Counter
	conflicts metric.Int64Counter
	scrapes   metric.Int64Counter
	unscribe  metric.Registration
}

func newTelemetry(set component.TelemetrySettings, id string, t *table) (*telemetry, error) {
	m := set.MeterProvider.Meter(scope)
	tel := &telemetry{log: set.Logger, complaints: complaint.New(set.Logger, time.Minute), component: attribute.String("component", id)}
	for _, c := range []struct {
		to                      *metric.Int64Counter
		name, unit, description string
	}{
		{&tel.requests, "crowsnest_prometheus_requests", "{request}", "Remote write requests, by HTTP status; code none: no answer."},
		{&tel.samples, "crowsnest_prometheus_samples", "{sample}", "Samples that remote write accepted."},
		{&tel.retries, "crowsnest_prometheus_retries", "{request}", "Remote write requests sent again."},
		{&tel.refused, "crowsnest_prometheus_refused_samples", "{sample}", "Samples that remote write refused for good, by reason."},
		{&tel.exemplars, "crowsnest_prometheus_refused_exemplars", "{exemplar}", "Exemplars left out since remote write refused their sample with them."},
		{&tel.untracked, "crowsnest_prometheus_untracked_points", "{point}", "Data points that found no place among the known series, by reason: not on the page, no stale marker at their end."},
		{&tel.conflicts, "crowsnest_prometheus_metadata_conflicts", "{metric}", "Metrics whose senders tell different types or help texts; the first one's are shown."},
		{&tel.scrapes, "crowsnest_prometheus_scrapes", "{scrape}", "Pages asked for, by outcome: complete, refused (too many at once), aborted (the client went away)."},
	} {
		var err error
		if *c.to, err = m.Int64Counter(c.name, metric.WithUnit(c.unit), metric.WithDescription(c.description)); err != nil {
			return nil, fmt.Errorf("make counter %s: %w", c.name, err)
		}
	}
	return tel, tel.observe(m, t)
}

func (t *telemetry) observe(m metric.Meter, table *table) error {
	series, err := m.Int64ObservableGauge("crowsnest_prometheus_series", metric.WithUnit("{series}"),
		metric.WithDescription("Known live series."))
	if err != nil {
		return fmt.Errorf("make gauge crowsnest_prometheus_series: %w", err)
	}
	size, err := m.Int64ObservableGauge("crowsnest_prometheus_series_bytes", metric.WithUnit("By"),
		metric.WithDescription("Estimated memory of the known series; the bound is max_bytes."))
	if err != nil {
		return fmt.Errorf("make gauge crowsnest_prometheus_series_bytes: %w", err)
	}
	t.unscribe, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		n, bytes := table.size()
		o.ObserveInt64(series, int64(n), metric.WithAttributes(t.component))
		o.ObserveInt64(size, bytes, metric.WithAttributes(t.component))
		return nil
	}, series, size)
	if err != nil {
		return fmt.Errorf("observe series: %w", err)
	}
	return nil
}

func (t *telemetry) request(a answer) {
	t.requests.Add(context.Background(), 1, metric.WithAttributes(t.component, attribute.String("code", a.code())))
}

func (t *telemetry) sent(samples int) {
	t.samples.Add(context.Background(), int64(samples), metric.WithAttributes(t.component))
	t.complaints.Over("unanswered", "Remote write takes samples again.")
}

func (t *telemetry) retried() {
	t.retries.Add(context.Background(), 1, metric.WithAttributes(t.component))
}

func (t *telemetry) exemplarsDropped(n int) {
	t.exemplars.Add(context.Background(), int64(n), metric.WithAttributes(t.component))
}

func (t *telemetry) refusedPoint(endpoint string, p *point, series int, a answer) {
	t.refused.Add(context.Background(), int64(series), metric.WithAttributes(t.component, attribute.String("reason", p.refused)))
	t.complaints.Warn("refused/"+p.refused, "Remote write refused a data point for good; it is dropped and counted, the rest of its batch is delivered.",
		zap.String("endpoint", endpoint), zap.String("reason", p.refused), zap.Int("status", a.status),
		zap.String("metric", p.family.name), zap.Int64("timestamp_ms", p.timestampMs),
		zap.String("answer", cut(a.text)))
}

func (t *telemetry) unanswered(endpoint string, a answer, delay time.Duration) {
	t.complaints.Warn("unanswered/"+a.code(), "Remote write did not take samples; nothing is lost, they wait with their sender and are sent again.",
		zap.String("endpoint", endpoint), zap.Int("status", a.status), zap.Duration("retry_in", delay),
		zap.String("answer", cut(a.err.Error())), remedy(a))
}

func (t *telemetry) untrackedPoint(p *point) {
	t.untracked.Add(context.Background(), 1, metric.WithAttributes(t.component, attribute.String("reason", p.refused)))
	remedy := "raise max_bytes, or send fewer series"
	if p.refused == reasonTypeConflict {
		remedy = "rename one of the metrics, or give both one type"
	}
	t.complaints.Warn("untracked/"+p.refused, "A data point found no place among the known series: it is not on the page to scrape, and remote write will lack its stale marker.",
		zap.String("reason", p.refused), zap.String("metric", p.family.name), zap.String("remedy", remedy))
}

// conflicting counts and logs descriptions that differ from the first one's.
func (t *telemetry) conflicting(c changes) {
	for _, f := range c.helped {
		t.conflicts.Add(context.Background(), 1, metric.WithAttributes(t.component, attribute.String("part", "help")))
		t.log.Debug("A metric has more than one help text; the first one is shown.", zap.String("metric", f.name))
	}
	for _, f := range c.typed {
		t.conflicts.Add(context.Background(), 1, metric.WithAttributes(t.component, attribute.String("part", "type")))
		t.complaints.Warn("type_conflict", "A metric has more than one type; its values are kept, and the type that came first is shown.",
			zap.String("metric", f.name), zap.String("other_type", f.typ.String()))
	}
}

func (t *telemetry) scraped(outcome string) {
	t.scrapes.Add(context.Background(), 1, metric.WithAttributes(t.component, attribute.String("outcome", outcome)))
}

// untranslated logs data points that have no form in Prometheus.
func (t *telemetry) untranslated(reason string, n int) {
	remedy := "see the sender of these metrics"
	if reason == reasonDeltaTemporality {
		remedy = "set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative at the sender"
	}
	t.complaints.Warn("untranslated/"+reason, "Data points cannot be stored by Prometheus; they are dropped and counted.",
		zap.String("reason", reason), zap.Int("points", n), zap.String("remedy", remedy))
}

func (t *telemetry) shutdown() {
	if t.unscribe != nil {
		_ = t.unscribe.Unregister() // it cannot fail: it only takes the callback off a list
	}
}

const maxLogText = 512

func cut(s string) string {
	if len(s) > maxLogText {
		return validText(s[:maxLogText])
	}
	return validText(s)
}

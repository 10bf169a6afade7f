package kubestate

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// telemetry is what the receiver tells about itself.
type telemetry struct {
	errors     metric.Int64Counter
	events     metric.Int64Counter
	refusals   metric.Int64Counter
	duplicates metric.Int64Counter
	stale      metric.Int64Counter
	objects    metric.Int64Gauge
	series     metric.Int64Gauge
	bytes      metric.Int64Gauge
	duration   metric.Float64Histogram
}

func newTelemetry(mp metric.MeterProvider) (*telemetry, error) {
	meter := mp.Meter(scope)
	var t telemetry
	errs := make([]error, 9)
	t.errors, errs[0] = meter.Int64Counter("crowsnest_kubestate_errors",
		metric.WithDescription("Errors of reading objects from the API server, by resource and reason; the last known objects stay."), metric.WithUnit("{error}"))
	t.events, errs[1] = meter.Int64Counter("crowsnest_kubestate_events",
		metric.WithDescription("Objects read from the API server, by resource: those of lists, and events."), metric.WithUnit("{event}"))
	t.refusals, errs[2] = meter.Int64Counter("crowsnest_kubestate_refused_objects",
		metric.WithDescription("Objects not told of since max_bytes was reached."), metric.WithUnit("{object}"))
	t.duplicates, errs[3] = meter.Int64Counter("crowsnest_kubestate_duplicates",
		metric.WithDescription("Points left out since their object had the series already."), metric.WithUnit("{point}"))
	t.stale, errs[4] = meter.Int64Counter("crowsnest_kubestate_stale_markers",
		metric.WithDescription("Points sent to mark that a series is gone."), metric.WithUnit("{point}"))
	t.objects, errs[5] = meter.Int64Gauge("crowsnest_kubestate_objects",
		metric.WithDescription("Objects known, by resource."), metric.WithUnit("{object}"))
	t.series, errs[6] = meter.Int64Gauge("crowsnest_kubestate_points",
		metric.WithDescription("Points that the last interval had."), metric.WithUnit("{point}"))
	t.bytes, errs[7] = meter.Int64Gauge("crowsnest_kubestate_state",
		metric.WithDescription("Estimated size of what is kept of the objects; bounded by max_bytes."), metric.WithUnit("By"))
	t.duration, errs[8] = meter.Float64Histogram("crowsnest_kubestate_pass_duration",
		metric.WithDescription("Time to send the state of all objects, the waits for the pipeline included."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.001, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	return &t, errors.Join(errs...)
}

// passed records an interval.
func (t *telemetry) passed(took time.Duration, points int) {
	t.duration.Record(context.Background(), took.Seconds())
	t.series.Record(context.Background(), int64(points))
}

func (t *telemetry) marked(points int) {
	if points > 0 {
		t.stale.Add(context.Background(), int64(points))
	}
}

// sizes records what the stores have.
func (t *telemetry) sizes(stores []*store) {
	for _, s := range stores {
		t.objects.Record(context.Background(), int64(s.objects()), resourceOf(s.kind))
	}
	if len(stores) > 0 {
		t.bytes.Record(context.Background(), stores[0].budget.used.Load())
	}
}

// forget records that this process, which no longer leads, has nothing.
func (t *telemetry) forget(stores []*store) {
	for _, s := range stores {
		t.objects.Record(context.Background(), 0, resourceOf(s.kind))
	}
	t.bytes.Record(context.Background(), 0)
	t.series.Record(context.Background(), 0)
}

func resourceOf(k *kind) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String("resource", k.resource)))
}

// reasonValue: a custom resource has no value that its metric can have. The
// other reasons of errors are kubeapi's.
const reasonValue = "value"

// report is how one watcher fares. Of its goroutine, but for the counts.
type report struct {
	telemetry  *telemetry
	complaints *complaint.Log
	kind       *kind
	resource   metric.MeasurementOption
	self       *selfCounts
	denied     bool // and the log says so
}

func newReport(t *telemetry, k *kind, logger *zap.Logger, self *selfCounts) *report {
	return &report{telemetry: t, kind: k, self: self, resource: resourceOf(k),
		complaints: complaint.New(logger.With(zap.String("resource", k.resource)), complaint.Interval)}
}

// bad counts an error and logs it unless its cause was logged lately.
func (r *report) bad(err error) {
	reason := kubeapi.ReasonOf(err)
	r.telemetry.errors.Add(context.Background(), 1, metric.WithAttributes(
		attribute.String("resource", r.kind.resource), attribute.String("reason", string(reason))))
	if reason == kubeapi.Expired { // ordinary after a long pause; the list follows at once
		return
	}
	r.complaints.Warn("read/"+string(reason), "Objects cannot be read from the API server: the last known ones are told of, and reading is tried again",
		zap.String("reason", string(reason)),
		zap.String("remedy", kubeapi.Remedy(reason, "list and watch on "+r.kind.resource+", or leave them out of resources")), zap.Error(err))
}

// leftOut says once that a kind is denied to this program, which may be meant so:
// no alert should come of it.
func (r *report) leftOut(err error) {
	if !r.denied {
		r.complaints.Info("read/denied", "These objects may not be read, so none are told of; grant the service account list and watch on them if they should be",
			zap.Error(err))
	}
	r.denied = true
}

// good notes that a list succeeded.
func (r *report) good() {
	r.complaints.Over("read", "Objects can be read from the API server again")
	r.denied = false
}

func (r *report) listed(err error) { r.self.list.count(err) }

func (r *report) watched(err error) { r.self.watch.count(err) }

// took counts an object that was read.
func (r *report) took(p *packer) {
	r.telemetry.events.Add(context.Background(), 1, r.resource)
	if p.twice > 0 {
		r.telemetry.duplicates.Add(context.Background(), int64(p.twice), r.resource)
		p.twice = 0
	}
}

// unreadable counts what a custom resource has where a number or a state is
// expected, and logs it unless the configuration says not to.
func (r *report) unreadable(f *customFamily, err error) {
	r.telemetry.errors.Add(context.Background(), 1, metric.WithAttributes(
		attribute.String("resource", r.kind.resource), attribute.String("reason", reasonValue)))
	if !f.quiet {
		r.complaints.Warn("value/"+f.name, "A custom resource has no value that its metric can have; set errorLogV to be spared this",
			zap.String("metric", f.name), zap.Error(err))
	}
}

// refused counts an object for which there was no room.
func (r *report) refused() {
	r.telemetry.refusals.Add(context.Background(), 1, r.resource)
	r.complaints.Warn("max_bytes", "Objects are left out since max_bytes is reached; raise it, or leave out resources")
}

package node

import (
	"context"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/node_exporter/collector"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
)

// The reasons for drops that this receiver has.
const (
	reasonSeriesLimit = "series_limit" // beyond max_series
	reasonTime        = "timestamp"    // not within 1970 to 2262
	reasonRefused     = "refused"      // the pipeline did not take the collection
)

// stride is how long one collector may delay the next. They run one after
// the other, so that a node's few milliseconds are not a burst on all its
// processors, but a slow one goes on beside the others.
const stride = 250 * time.Millisecond

// collect collects once and sends what there is.
func (r *nodeReceiver) collect(ctx context.Context) {
	started := time.Now()
	if r.host != nil {
		if err := r.host.link(); err != nil {
			r.complaints.Warn("links", "Host's proc cannot be read fully; node metrics are missing until it can", zap.Error(err))
		} else {
			r.complaints.Over("links", "Host's proc can be read again")
		}
	}
	md, out := r.metrics()
	r.book.begin(started.UnixMilli(), out)
	hanging := r.gather(ctx)
	if ctx.Err() != nil {
		r.book.commit(false)
		return // shutting down
	}
	r.enterAll()
	r.describe(started)
	r.book.sweep()
	r.telemetry.record(time.Since(started), r.book.taken, hanging, r.book.tally)
	r.book.commit(r.send(ctx, md))
}

func (r *nodeReceiver) metrics() (pmetric.Metrics, pmetric.MetricSlice) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	resource := rm.Resource().Attributes()
	resource.PutStr("service.name", "node-exporter")
	resource.PutStr("service.instance.id", r.cfg.Node)
	resource.PutStr("url.path", "/metrics")
	resource.PutStr("k8s.node.name", r.cfg.Node)
	scope := rm.ScopeMetrics().AppendEmpty()
	scope.Scope().SetName("github.com/crowsnest-o11y/crowsnest/receivers/node")
	return md, scope.Metrics()
}

// gather runs the collectors. It says how many had not ended at the timeout.
func (r *nodeReceiver) gather(ctx context.Context) (hanging int) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.timeout())
	defer cancel()
	step := time.NewTimer(stride)
	defer step.Stop()
	var slow []*probe
	for _, p := range r.probes {
		switch {
		case ctx.Err() != nil && p.idle():
			r.outcome(p.name, 0, false) // no time left for it
			continue
		case !r.start(p):
			continue // hangs since an earlier collection
		}
		step.Reset(stride)
		select {
		case got := <-p.result:
			r.enter(p, got)
			continue
		case <-step.C:
		case <-ctx.Done():
		}
		slow = append(slow, p)
	}
	for _, p := range slow {
		select {
		case got := <-p.result:
			r.enter(p, got)
		case <-ctx.Done():
		}
	}
	return r.reproach()
}

// reproach enters the collectors that have not ended, and says how many.
func (r *nodeReceiver) reproach() (hanging int) {
	for _, p := range r.probes {
		if p.busy {
			hanging++
			r.outcome(p.name, time.Since(p.began), false)
			r.complaints.Warn("hangs/"+p.name, "Collector hangs; its series have no values until it ends",
				zap.String("collector", p.name), zap.Duration("for", time.Since(p.began)))
		}
	}
	return hanging
}

// start runs a collector, unless it runs still.
func (r *nodeReceiver) start(p *probe) bool {
	if !p.idle() {
		return false
	}
	p.busy, p.began = true, time.Now()
	r.executing.Go(p.run)
	return true
}

// enter takes the result of a collector.
func (r *nodeReceiver) enter(p *probe, got result) {
	p.busy = false
	r.replay = append(r.replay, got.metrics...)
	r.outcome(p.name, got.took, got.err == nil)
	r.complaints.Over("hangs/"+p.name, "Collector that hung has ended", zap.String("collector", p.name))
	if got.err != nil && !collector.IsNoDataError(got.err) {
		r.complaints.Warn("failed/"+p.name, "Collector failed; series that it did not get to have no values",
			zap.String("collector", p.name), zap.Error(got.err))
	}
}

// enterAll enters what the collectors gave in the book, by way of a registry,
// which makes families of it and sorts out what contradicts.
func (r *nodeReceiver) enterAll() {
	families, err := r.registry.Gather()
	if err != nil {
		r.complaints.Warn("registry", "Collectors contradict each other; series that others gave, too, are missing", zap.Error(err))
	}
	if r.host != nil {
		r.host.correct(families, r.cfg.RootPath, r.cfg.Node)
	}
	for _, family := range families {
		r.book.add(family)
	}
	clear(r.replay)
	r.replay = r.replay[:0]
}

// replay is a prometheus.Collector of what collectors gave. That it describes
// nothing means that it may give anything.
type replay []prometheus.Metric

func (*replay) Describe(chan<- *prometheus.Desc) {}

func (r *replay) Collect(to chan<- prometheus.Metric) {
	for _, m := range *r {
		to <- m
	}
}

// outcome adds the series by which node_exporter tells how a collector fared.
func (r *nodeReceiver) outcome(name string, took time.Duration, success bool) {
	state := 0.0
	if success {
		state = 1
	}
	r.gauge("node_scrape_collector_duration_seconds", "node_exporter: Duration of a collector scrape.", took.Seconds(), "collector", name)
	r.gauge("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.", state, "collector", name)
}

func (r *nodeReceiver) gauge(name, help string, value float64, labels ...string) {
	metric := &dto.Metric{Gauge: &dto.Gauge{Value: &value}}
	for i := 0; i < len(labels); i += 2 {
		metric.Label = append(metric.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	r.book.add(&dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{metric}})
}

// describe adds the library's version and the series by which Prometheus
// describes a scrape. That counts no samples of its own.
func (r *nodeReceiver) describe(started time.Time) {
	r.gauge("node_exporter_build_info", "A metric with a constant '1' value labeled by the version of node_exporter's collectors.", 1, "version", libraryVersion)
	samples := r.book.tally.samples
	r.gauge("up", "1 if the node's metrics could be collected, 0 if not.", 1)
	r.gauge("scrape_duration_seconds", "Duration of the scrape.", time.Since(started).Seconds())
	r.gauge("scrape_samples_scraped", "Number of samples that the collectors gave.", float64(samples))
}

// libraryVersion is the version of node_exporter's module, "1.2.3".
var libraryVersion = moduleVersion("github.com/prometheus/node_exporter")

func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == path {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}

// send hands the collection on and says whether it was taken for good or ill:
// it cannot be had again, so one refused for now is given up, too.
func (r *nodeReceiver) send(ctx context.Context, md pmetric.Metrics) (taken bool) {
	r.settle(r.book.tally.overLimit, reasonSeriesLimit)
	r.settle(r.book.tally.badTimes, reasonTime)
	if n := r.book.tally.overLimit; n > 0 {
		r.complaints.Warn(reasonSeriesLimit, "Node has more series than max_series; the rest was dropped. Disable a collector, or raise max_series if they are wanted",
			zap.Int("dropped", n), zap.Int("max_series", r.book.maxSeries))
	}
	points := md.DataPointCount() // before it is no longer ours
	err := r.next.ConsumeMetrics(ctx, md)
	switch {
	case err == nil:
		return true
	case consumererror.IsPermanent(err):
		r.complaints.Warn("rejected", "Node's metrics were rejected by the pipeline; the component that did so has counted its points", zap.Int("points", points), zap.Error(err))
		return true
	}
	r.settle(points, reasonRefused)
	r.complaints.Warn(reasonRefused, "Node's metrics were not taken by the pipeline and are lost; the next ones follow as usual", zap.Int("points", points), zap.Error(err))
	return false
}

// settle writes items to the ledger that end here.
func (r *nodeReceiver) settle(n int, reason string) {
	if n > 0 {
		r.account.Received(n)
		r.account.Dropped(n, reason)
	}
}

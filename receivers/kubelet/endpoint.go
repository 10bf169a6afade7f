package kubelet

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/exposition"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// The reasons for drops that this receiver alone has.
const (
	reasonSeriesLimit = "series_limit" // beyond max_series
	reasonTime        = "timestamp"    // not within 1970 to 2262
	reasonHistogram   = "histogram"    // a native histogram of too many buckets
	reasonRefused     = "refused"      // the pipeline did not take the scrape
)

// endpoint is one page of the kubelet. Of one goroutine.
type endpoint struct {
	instance string // label instance: host and port
	path     string

	fetcher    fetcher
	page       *page
	next       consumer.Metrics
	account    *ledger.Account
	telemetry  *telemetry
	complaints *complaint.Log
}

// scrape gets the page once and sends what it says.
func (e *endpoint) scrape(ctx context.Context) {
	started := time.Now()
	err := e.read(ctx, started.UnixMilli())
	if ctx.Err() != nil {
		return // shutting down; what the page says next the next start will tell
	}
	if err != nil {
		e.page.begin(started.UnixMilli()) // it may have half a page
		e.page.vanish()
	}
	took := time.Since(started)
	taken := e.hand(ctx, started, took, err == nil)
	e.telemetry.record(e.path, outcomeOf(err), took, len(e.page.found), e.page.tally)
	e.page.commit(taken, err != nil)
	e.tell(err)
}

// hand sends what the page says, request by request, and says whether all were
// taken for good or ill.
func (e *endpoint) hand(ctx context.Context, started time.Time, took time.Duration, up bool) (taken bool) {
	md, scope := e.metrics()
	taken = true
	e.page.write(scope.Metrics(), func() pmetric.MetricSlice {
		taken = e.send(ctx, md) && taken
		md, scope = e.metrics()
		return scope.Metrics()
	})
	e.report(scope.Metrics(), started, took, up)
	e.settle(e.page.tally.overLimit, reasonSeriesLimit)
	e.settle(e.page.tally.badTimes, reasonTime)
	e.settle(e.page.tally.unfit, reasonHistogram)
	return e.send(ctx, md) && taken
}

func (e *endpoint) metrics() (pmetric.Metrics, pmetric.ScopeMetrics) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	resource := rm.Resource().Attributes()
	resource.PutStr("service.name", "kubelet")
	resource.PutStr("service.instance.id", e.instance)
	resource.PutStr("url.path", e.path)
	scope := rm.ScopeMetrics().AppendEmpty()
	scope.Scope().SetName("github.com/crowsnest-o11y/crowsnest/receivers/kubelet")
	return md, scope
}

// read gets and parses the page.
func (e *endpoint) read(ctx context.Context, now int64) error {
	e.page.begin(now)
	err := e.fetcher.fetch(ctx, func(part []byte, in format, last bool) (int, error) {
		used, err := e.page.parse(part, in, last)
		if err != nil {
			err = &failure{outcomeMalformed, err, "the whole page is refused, as Prometheus would; report the line to whoever exports it"}
		}
		return used, err
	})
	if err == nil {
		e.page.sweep()
	}
	return err
}

// report adds the series by which Prometheus describes a scrape.
func (e *endpoint) report(out pmetric.MetricSlice, started time.Time, took time.Duration, up bool) {
	gauge := func(name, help, unit string, value float64) {
		m := out.AppendEmpty()
		m.SetName(name)
		m.SetDescription(help)
		m.SetUnit(unit)
		m.Metadata().PutStr(metadataType, "gauge")
		point := m.SetEmptyGauge().DataPoints().AppendEmpty()
		point.SetTimestamp(exposition.Timestamp(started.UnixMilli()))
		point.SetDoubleValue(value)
	}
	state := 0.0
	if up {
		state = 1
	}
	gauge("up", "1 if the page could be scraped, 0 if not.", "", state)
	gauge("scrape_duration_seconds", "Duration of the scrape.", "s", took.Seconds())
	gauge("scrape_samples_scraped", "Number of samples that the page had.", "", float64(e.page.tally.samples))
}

// send hands a request on and says whether it was taken for good or ill: a
// scrape cannot be had again, so what is refused for now is given up, too.
func (e *endpoint) send(ctx context.Context, md pmetric.Metrics) (taken bool) {
	points := md.DataPointCount() // before it is no longer ours
	err := e.next.ConsumeMetrics(ctx, md)
	switch {
	case err == nil:
		return true
	case consumererror.IsPermanent(err):
		e.complaints.Warn("rejected", "Scrape was rejected by the pipeline; the component that did so has counted its points", zap.Int("points", points), zap.Error(err))
		return true
	}
	e.settle(points, reasonRefused)
	e.complaints.Warn(reasonRefused, "Scrape was not taken by the pipeline and is lost; the next one follows as usual", zap.Int("points", points), zap.Error(err))
	return false
}

// settle writes items to the ledger that end here.
func (e *endpoint) settle(n int, reason string) {
	if n > 0 {
		e.account.Received(n)
		e.account.Dropped(n, reason)
	}
}

func outcomeOf(err error) string {
	var f *failure
	switch {
	case err == nil:
		return outcomeOK
	case errors.As(err, &f):
		return f.outcome
	}
	return outcomeRead
}

// tell logs what the operator should know of this scrape.
func (e *endpoint) tell(err error) {
	if err != nil {
		e.complaints.Warn("scrape/"+outcomeOf(err), "Scrape of the kubelet failed; its page's series have no values until it works", zap.Error(err))
		return
	}
	e.complaints.Over("scrape", "Scrape of the kubelet works again")
	t := e.page.tally
	if t.overLimit > 0 {
		e.complaints.Warn(reasonSeriesLimit, "Page has more series than max_series; the rest was dropped, raise max_series if they are wanted", zap.Int("dropped", t.overLimit), zap.Int("max_series", e.page.maxSeries))
	}
	if t.unfit > 0 {
		e.complaints.Warn(reasonHistogram, "Native histograms with more buckets than can be taken, or that contradict themselves, were dropped", zap.Int("dropped", t.unfit), zap.Int("max_buckets", maxNativeBuckets))
	}
	if t.badTimes > 0 {
		e.complaints.Warn(reasonTime, "Samples with an impossible timestamp were dropped; the exporter's clock is wrong", zap.Int("dropped", t.badTimes))
	}
}

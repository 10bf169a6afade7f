package cri

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// The reasons for drops that this receiver has.
const (
	reasonSeriesLimit = "series_limit" // beyond max_series
	reasonRefused     = "refused"      // the pipeline did not take the scrape
)

// The outcomes of a scrape, values of the label "outcome".
const (
	outcomeOK          = "ok"
	outcomeUnavailable = "unavailable" // nobody at the socket, or no access to it
	outcomeTimeout     = "timeout"     // no whole answer in time
	outcomeTooLarge    = "too_large"   // an answer of more than 32 MiB
	outcomeError       = "error"       // the runtime answered with an error
)

var outcomes = []string{outcomeOK, outcomeUnavailable, outcomeTimeout, outcomeTooLarge, outcomeError}

// metricsPath is that of the page whose series these are.
const metricsPath = "/metrics/cadvisor"

// scraper asks the runtime at each interval. Of one goroutine.
type scraper struct {
	cfg        *Config
	runtime    *runtime
	page       *page
	next       consumer.Metrics
	account    *ledger.Account
	telemetry  *telemetry
	complaints *complaint.Log
}

// scrape asks the runtime once and sends what it says.
func (s *scraper) scrape(ctx context.Context) {
	started := time.Now()
	asking, cancel := context.WithTimeout(ctx, s.cfg.scrapeTimeout())
	answers, err := s.runtime.ask(asking)
	cancel()
	if ctx.Err() != nil {
		return // shutting down; what the runtime says next the next start will tell
	}
	took := time.Since(started)
	md, metrics := s.metrics()
	s.page.begin(started, metrics)
	if err == nil {
		(&converter{page: s.page}).convert(answers)
	}
	s.page.sweep()
	series, stale, overLimit := len(s.page.current), s.page.stale, s.page.overLimit
	s.report(started, took, series, err == nil)
	s.settle(overLimit, reasonSeriesLimit)
	s.page.commit(s.send(ctx, md), err != nil)
	s.telemetry.record(outcomeOf(err), took, series, stale)
	s.tell(err, overLimit)
}

func (s *scraper) metrics() (pmetric.Metrics, pmetric.MetricSlice) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	resource := rm.Resource().Attributes()
	resource.PutStr("service.name", "kubelet")
	resource.PutStr("service.instance.id", s.cfg.Instance)
	resource.PutStr("url.path", metricsPath)
	scope := rm.ScopeMetrics().AppendEmpty()
	scope.Scope().SetName("github.com/crowsnest-o11y/crowsnest/receivers/cri")
	return md, scope.Metrics()
}

// report adds the series by which Prometheus describes a scrape. They have no
// end: each scrape has them.
func (s *scraper) report(started time.Time, took time.Duration, series int, ok bool) {
	up := 0.0
	if ok {
		up = 1
	}
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"up", "1 if the runtime answered, 0 if not.", up},
		{"scrape_duration_seconds", "Duration of the scrape.", took.Seconds()},
		{"scrape_samples_scraped", "Number of samples that the runtime's answers gave.", float64(series)},
	} {
		s.page.point(g.name, g.help, gauge, nil).SetDoubleValue(g.value)
	}
}

// send hands the scrape on and says whether it was taken for good or ill: a
// scrape cannot be had again, so one refused for now is given up, too.
func (s *scraper) send(ctx context.Context, md pmetric.Metrics) (taken bool) {
	points := md.DataPointCount() // before it is no longer ours
	err := s.next.ConsumeMetrics(ctx, md)
	switch {
	case err == nil:
		return true
	case consumererror.IsPermanent(err):
		s.complaints.Warn("rejected", "Scrape was rejected by the pipeline; the component that did so has counted its points", zap.Int("points", points), zap.Error(err))
		return true
	}
	s.settle(points, reasonRefused)
	s.complaints.Warn(reasonRefused, "Scrape was not taken by the pipeline and is lost; the next one follows as usual", zap.Int("points", points), zap.Error(err))
	return false
}

// settle writes items to the ledger that end here.
func (s *scraper) settle(n int, reason string) {
	if n > 0 {
		s.account.Received(n)
		s.account.Dropped(n, reason)
	}
}

func outcomeOf(err error) string {
	switch status.Code(err) {
	case codes.OK:
		return outcomeOK
	case codes.Unavailable:
		return outcomeUnavailable
	case codes.DeadlineExceeded:
		return outcomeTimeout
	case codes.ResourceExhausted:
		return outcomeTooLarge
	}
	return outcomeError
}

// remedies say what to do about an outcome.
var remedies = map[string]string{
	outcomeUnavailable: "is the runtime running, and its socket mounted into the agent's pod and open to its user?",
	outcomeTimeout:     "look at the runtime's log and at the node's load",
	outcomeTooLarge:    "the node has more containers than an answer may describe",
	outcomeError:       "look at the runtime's log",
}

// tell logs what the operator should know of this scrape.
func (s *scraper) tell(err error, overLimit int) {
	if err != nil {
		outcome := outcomeOf(err)
		s.complaints.Warn("scrape/"+outcome, "Container runtime gave no metrics; its series have no values until it does",
			zap.String("endpoint", s.cfg.Endpoint), zap.String("remedy", remedies[outcome]), zap.Error(err))
		return
	}
	s.complaints.Over("scrape", "Container runtime gives metrics again")
	if overLimit > 0 {
		s.complaints.Warn(reasonSeriesLimit, "Runtime has more series than max_series; the rest was dropped, raise max_series if they are wanted",
			zap.Int("dropped", overLimit), zap.Int("max_series", s.cfg.MaxSeries))
	}
}

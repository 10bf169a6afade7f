package scrape

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/cadence"
	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// The reasons for drops that this receiver alone has; outcomes are reasons, too.
const (
	reasonTime        = "timestamp"   // not within 1970 to 2262
	reasonUnsupported = "unsupported" // native histograms that OTLP cannot hold
	reasonRefused     = "refused"     // the pipeline did not take the scrape
)

// errGone ends the scraping of a target that is no more, as opposed to that of
// all by a shutdown, after which the next start goes on where it was.
var errGone = errors.New("target is gone")

// resourceLabels are those target labels that are sent on the resource, and
// under which name; pipeline/kubeattrs and exporters/prometheus know the same.
var resourceLabels = [...]struct{ label, attribute string }{
	{"job", "service.name"},
	{"instance", "service.instance.id"},
	{"namespace", "k8s.namespace.name"},
	{"pod", "k8s.pod.name"},
	{"container", "k8s.container.name"},
	{"node", "k8s.node.name"},
}

// environment is what all targets of a receiver share.
type environment struct {
	next      consumer.Metrics
	account   *ledger.Account
	telemetry *telemetry
	logger    *zap.Logger
	bodies    *budget // pages in flight
	series    *budget // what is remembered of pages
}

// scraper scrapes one target. Of one goroutine, but for wanted.
type scraper struct {
	*environment
	wanted atomic.Pointer[target] // newest version; labels and URLs are the same in all
	news   chan struct{}          // of capacity 1: there is one

	is         *target
	page       *page
	place      labels.Labels
	report     reporter
	turn       int // index of the URL to try first
	complaints *complaint.Log
}

// want makes a new version of the target hold, its interval too: it may have been
// an hour, and be a minute now.
func (s *scraper) want(t *target) {
	s.wanted.Store(t)
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func newScraper(env *environment, t *target) *scraper {
	logger := env.logger.With(zap.String("job", t.labels.Get("job")), zap.String("url", t.urls[0]))
	s := &scraper{environment: env, complaints: complaint.New(logger, complaint.Interval), news: make(chan struct{}, 1)}
	s.place = placeOf(t.labels)
	s.report = reporter{labels: without(t.labels, s.place), target: t.labels}
	s.page = newPage(s.rules(t), env.series)
	s.is = t
	s.wanted.Store(t)
	return s
}

// placeOf gives the labels that are sent on the resource.
func placeOf(all labels.Labels) labels.Labels {
	var b labels.ScratchBuilder
	for _, l := range resourceLabels {
		if v := all.Get(l.label); v != "" {
			b.Add(l.label, v)
		}
	}
	b.Sort()
	return b.Labels()
}

func without(all, some labels.Labels) labels.Labels {
	var b labels.ScratchBuilder
	all.Range(func(l labels.Label) {
		if !some.Has(l.Name) {
			b.Add(l.Name, l.Value)
		}
	})
	return b.Labels()
}

func (s *scraper) rules(t *target) rules {
	return rules{
		place: s.place,
		mutate: relabelled(t.labels, t.job.honorLabels, func(b *labels.Builder) bool {
			return relabel.ProcessBuilder(b, t.job.metricRules...)
		}),
		limits: t.job.limits,
	}
}

// run scrapes at the times that are the target's phase past a multiple of the
// interval, until ctx ends. A scrape that lasts past the next such time makes
// it skipped.
func (s *scraper) run(ctx context.Context) {
	defer s.page.close()
	timer := time.NewTimer(s.untilNext(time.Now()))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errGone) {
				s.end()
			}
			return
		case <-s.news:
		case <-timer.C:
			s.update()
			s.scrape(ctx)
		}
		timer.Reset(s.untilNext(time.Now()))
	}
}

// update takes a new version of the target.
func (s *scraper) update() {
	t := s.wanted.Load()
	if t == s.is {
		return
	}
	if t.job != s.is.job {
		s.page.change(s.rules(t))
	}
	s.is = t
}

func (s *scraper) untilNext(now time.Time) time.Duration {
	interval := s.wanted.Load().job.interval
	wait := cadence.Of(s.is.key, interval).Wait(now)
	if wait < interval/100 {
		wait += interval // the timer fired a little early
	}
	return wait
}

// scrape gets the page once and sends what it says.
func (s *scraper) scrape(ctx context.Context) {
	started := time.Now()
	md, out := s.metrics()
	err := s.read(ctx, started, out)
	if ctx.Err() != nil && err != nil {
		return // ending; what the page says is not known
	}
	if err != nil {
		s.settle(s.page.tally.kept, outcomeOf(err))
		samples := s.page.tally.samples
		md, out = s.metrics() // the first may hold half a page
		s.page.begin(started.UnixMilli(), out)
		s.page.vanish()
		s.page.tally.samples = samples
	}
	took := time.Since(started)
	s.report.write(out[ofTarget], scraped{at: started.UnixMilli(), took: took, err: err, tally: s.page.tally, tentative: s.is.job.tentative})
	taken := s.send(md)
	s.telemetry.record(s.is.job.source, outcomeOf(err), took, s.page.tally)
	s.page.commit(taken, err != nil)
	s.tell(err)
}

// end marks all series of a target that is no more.
func (s *scraper) end() {
	md, out := s.metrics()
	now := time.Now().UnixMilli()
	s.page.begin(now, out)
	s.page.vanish()
	s.report.end(out[ofTarget], now)
	if md.DataPointCount() > 0 {
		s.send(md)
	}
	s.telemetry.record(s.is.job.source, "", 0, s.page.tally)
	s.page.letGo()
}

// metrics makes an empty request of both places.
func (s *scraper) metrics() (pmetric.Metrics, [places]pmetric.MetricSlice) {
	md := pmetric.NewMetrics()
	var out [places]pmetric.MetricSlice
	for at := range places {
		rm := md.ResourceMetrics().AppendEmpty()
		s.resource(at, rm.Resource().Attributes())
		scope := rm.ScopeMetrics().AppendEmpty()
		scope.Scope().SetName("github.com/crowsnest-o11y/crowsnest/receivers/scrape")
		out[at] = scope.Metrics()
	}
	return md, out
}

// resource writes the labels of a place. One that the target does not have is
// there empty, so that nothing further on adds it.
func (s *scraper) resource(at place, to pcommon.Map) {
	to.EnsureCapacity(len(resourceLabels))
	for _, l := range resourceLabels {
		value := ""
		if at == ofTarget {
			value = s.place.Get(l.label)
		}
		to.PutStr(l.attribute, value)
	}
}

// read gets and parses the page into out.
func (s *scraper) read(ctx context.Context, started time.Time, out [places]pmetric.MetricSlice) error {
	s.page.begin(started.UnixMilli(), out)
	if s.is.err != nil {
		return s.is.err
	}
	got, err := s.fetch(ctx)
	defer got.close()
	if err != nil {
		return err
	}
	j := s.is.job
	if err := s.page.parse(got.body, format{contentType: got.contentType, native: j.native, classic: j.classic, ownTimes: j.honorTimestamps}); err != nil {
		return err
	}
	s.page.sweep()
	return nil
}

// fetch tries the target's URLs, from the one that answered last on.
func (s *scraper) fetch(ctx context.Context) (got *fetched, err error) {
	j := s.is.job
	r := request{accept: accept(j.native, j.escaping), timeout: j.timeout, maxBytes: j.maxBody}
	for range s.is.urls {
		r.url = s.is.urls[s.turn%len(s.is.urls)]
		got, err = fetch(ctx, j.client, r, s.bodies)
		if outcomeOf(err) != outcomeConnect {
			return got, err
		}
		s.turn++
	}
	return got, err
}

// send hands the scrape on and says whether it was taken for good or ill: a
// scrape cannot be had again, so one refused for now is given up, too.
func (s *scraper) send(md pmetric.Metrics) (taken bool) {
	s.settle(s.page.tally.badTimes, reasonTime)
	s.settle(s.page.tally.unsupported, reasonUnsupported)
	md.ResourceMetrics().RemoveIf(func(rm pmetric.ResourceMetrics) bool { return rm.ScopeMetrics().At(0).Metrics().Len() == 0 })
	points := md.DataPointCount() // before it is no longer ours
	// Its own context: the scrape that was made is worth sending though scraping ends.
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
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

// sendTimeout bounds how long the pipeline may hold a scrape up, and with it a
// shutdown.
const sendTimeout = 30 * time.Second

// settle writes items to the ledger that end here.
func (s *scraper) settle(n int, reason string) {
	if n > 0 {
		s.account.Received(n)
		s.account.Dropped(n, reason)
	}
}

// tell logs what the operator should know of this scrape.
func (s *scraper) tell(err error) {
	t := s.page.tally
	switch {
	case err != nil && s.is.job.tentative && !s.report.answered:
		s.complaints.Info("absent/"+outcomeOf(err), "Component cannot be scraped; it has no series, and its alerts stay silent", zap.Error(err))
	case err != nil:
		s.complaints.Warn("scrape/"+outcomeOf(err), "Scrape failed; the target's series have no values until it works", zap.Error(err))
	default:
		s.complaints.Over("scrape", "Scrape works again")
	}
	if t.badTimes > 0 {
		s.complaints.Warn(reasonTime, "Samples with an impossible timestamp were dropped; the exporter's clock is wrong", zap.Int("dropped", t.badTimes))
	}
	if t.unsupported > 0 {
		s.complaints.Warn(reasonUnsupported, "Native histograms that OTLP cannot hold (of gauge type, fractional, or with custom bounds) were dropped", zap.Int("dropped", t.unsupported))
	}
}

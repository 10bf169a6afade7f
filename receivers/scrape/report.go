package scrape

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
)

// scrapable is the series by which alerts know whether a control plane's
// component can be scraped at all.
const scrapable = "crowsnest_control_plane_scrapable"

// scraped is what became of one scrape.
type scraped struct {
	at        int64 // in milliseconds since 1970
	took      time.Duration
	err       error
	tally     tally
	tentative bool
}

// reporter writes the series by which Prometheus describes a scrape.
type reporter struct {
	labels   labels.Labels // of the target, but for those on the resource
	target   labels.Labels
	answered bool // the target was scraped once
	known    bool // up and the others were sent
	reason   string
	told     bool // scrapable was sent, with reason
	last     int64
}

var reportNames = [...]struct{ name, help, unit string }{
	{"up", "1 if the target could be scraped, 0 if not.", ""},
	{"scrape_duration_seconds", "Duration of the scrape.", "s"},
	{"scrape_samples_scraped", "Number of samples that the target had.", ""},
	{"scrape_samples_post_metric_relabeling", "Number of samples left by metric relabelling.", ""},
	{"scrape_series_added", "Number of series that were new in this scrape.", ""},
}

func (r *reporter) write(to pmetric.MetricSlice, s scraped) {
	r.last = s.at
	r.answered = r.answered || s.err == nil
	if s.tentative {
		r.writeScrapable(to, s)
		if !r.answered {
			return // no up: a component out of reach by design is not down
		}
	}
	up := 1.0
	if s.err != nil {
		up = 0
	}
	r.known = true
	values := [...]float64{up, s.took.Seconds(), float64(s.tally.samples), float64(s.tally.kept), float64(s.tally.added)}
	for i, n := range reportNames {
		r.gauge(to, n.name, n.help, n.unit, s.at).SetDoubleValue(values[i])
	}
}

// writeScrapable tells 1 from the first answer on, for as long as this process
// watches the target, and before it 0 and why.
func (r *reporter) writeScrapable(to pmetric.MetricSlice, s scraped) {
	reason, value := "", 1.0
	if !r.answered {
		reason, value = outcomeOf(s.err), 0
	}
	if r.told && reason != r.reason {
		r.endScrapable(to, s.at)
	}
	r.told, r.reason = true, reason
	point := r.scrapable(to, s.at)
	point.SetDoubleValue(value)
}

func (r *reporter) scrapable(to pmetric.MetricSlice, at int64) pmetric.NumberDataPoint {
	point := r.gauge(to, scrapable, "1 if the control plane's component was ever scraped by this agent, 0 if it cannot be, and the reason.", "", at)
	if r.reason != "" {
		point.Attributes().PutStr("reason", r.reason)
	}
	return point
}

func (r *reporter) endScrapable(to pmetric.MetricSlice, at int64) {
	r.scrapable(to, at).SetFlags(noValue)
}

// end marks all series as gone.
func (r *reporter) end(to pmetric.MetricSlice, now int64) {
	at := max(now, r.last+1)
	if r.told {
		r.endScrapable(to, at)
	}
	if r.known {
		for _, n := range reportNames {
			r.gauge(to, n.name, n.help, n.unit, at).SetFlags(noValue)
		}
	}
}

func (r *reporter) gauge(to pmetric.MetricSlice, name, help, unit string, at int64) pmetric.NumberDataPoint {
	m := to.AppendEmpty()
	m.SetName(name)
	m.SetDescription(help)
	m.SetUnit(unit)
	m.Metadata().PutStr(metadataType, "gauge")
	point := m.SetEmptyGauge().DataPoints().AppendEmpty()
	point.SetTimestamp(exposition.Timestamp(at))
	attributes(point.Attributes(), r.labels)
	return point
}

package terminations

import (
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	exitsName = "container_terminations_total"
	exitsHelp = "Exits of containers, by reason as in Kubernetes and by exit code."
	killsName = "container_oom_kills_total"
	killsHelp = "Processes of the container that the kernel's OOM killer killed."
)

// job is the label "job": these counters are the agent's own observation.
const job = "crowsnest-agent"

// metrics makes one sample of every series. One that was not told is 0 now and
// has its value from the next time on, so that rate() and increase() see the
// first exit, whichever way the samples take to Prometheus.
func (t *tally) metrics(node string, now time.Time) pmetric.Metrics {
	md, metrics := newMetrics(node)
	exits, kills := sumOf(metrics, exitsName, exitsHelp), sumOf(metrics, killsName, killsHelp)
	for key, s := range t.Exits {
		p := s.point(exits, now)
		key.label(p.Attributes())
		p.Attributes().PutStr("reason", key.Reason)
		if key.Reason != reasonSeriesLimit {
			p.Attributes().PutStr("exit_code", strconv.Itoa(int(key.ExitCode)))
		}
	}
	for key, s := range t.Kills {
		key.label(s.point(kills, now).Attributes())
	}
	return md
}

// stale marks the end of series.
func (t *tally) stale(node string, now time.Time, pods []podKey) pmetric.Metrics {
	gone := newTally(t.maxSeries, 0)
	ends := make(map[podKey]bool, len(pods))
	for _, pod := range pods {
		ends[pod] = true
	}
	for key, s := range t.Exits {
		if pod := key.pod(); ends[pod] && key.of(pod) {
			gone.Exits[key] = s
		}
	}
	for key, s := range t.Kills {
		if pod := key.pod(); ends[pod] && key.of(pod) {
			gone.Kills[key] = s
		}
	}
	md := gone.metrics(node, now)
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		for _, p := range m.Sum().DataPoints().All() {
			p.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
		}
	}
	return md
}

func newMetrics(node string) (pmetric.Metrics, pmetric.MetricSlice) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", job)
	rm.Resource().Attributes().PutStr("service.instance.id", node)
	rm.Resource().Attributes().PutStr("k8s.node.name", node)
	scope := rm.ScopeMetrics().AppendEmpty()
	scope.Scope().SetName("github.com/crowsnest-o11y/crowsnest/receivers/terminations")
	return md, scope.Metrics()
}

func sumOf(metrics pmetric.MetricSlice, name, help string) pmetric.NumberDataPointSlice {
	m := metrics.AppendEmpty()
	m.SetName(name)
	m.SetDescription(help)
	m.Metadata().PutStr("prometheus.type", "counter")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	return sum.DataPoints()
}

func (s *series) point(points pmetric.NumberDataPointSlice, now time.Time) pmetric.NumberDataPoint {
	p := points.AppendEmpty()
	p.SetStartTimestamp(pcommon.NewTimestampFromTime(time.UnixMilli(s.Created)))
	p.SetTimestamp(pcommon.NewTimestampFromTime(now))
	if s.Told {
		p.SetDoubleValue(float64(s.Value))
	} else {
		p.SetDoubleValue(0)
	}
	return p
}

func (k containerKey) label(labels pcommon.Map) {
	for _, l := range [...][2]string{{"namespace", k.Namespace}, {"pod", k.Pod}, {"container", k.Container}} {
		if l[1] != "" {
			labels.PutStr(l[0], l[1])
		}
	}
}

package statuspage

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

// signals is how many there are.
const signals = 3

// signalNames are in the order in which the page shows them.
var signalNames = [signals]string{string(ledger.Logs), string(ledger.Metrics), string(ledger.Traces)}

func signalIndex(name string) (int, bool) {
	for i, s := range signalNames {
		if s == name {
			return i, true
		}
	}
	return 0, false
}

// The jobs that are read.
const (
	agentJob      = "crowsnest-agent"
	aggregatorJob = "crowsnest-aggregator"
	nodesJob      = "kube-state-metrics"
)

// families are the metrics that are read, and the label that tells their series
// apart besides signal and component.
var families = map[string]struct {
	family family
	detail string
}{
	"crowsnest_received_items_total":           {received, ""},
	"crowsnest_delivered_items_total":          {delivered, ""},
	"crowsnest_queued_items":                   {queued, ""},
	"crowsnest_dropped_items_total":            {dropped, "reason"},
	"crowsnest_containerlogs_lag_bytes":        {logsLag, ""},
	"crowsnest_containerlogs_lost_files_total": {lostFiles, ""},
	"crowsnest_spool_oldest_entry_age_seconds": {spoolAge, ""},
	"crowsnest_spool_bytes":                    {spoolSize, ""},
	"crowsnest_loki_requests_total":            {lokiRequests, "code"},
	"crowsnest_prometheus_requests_total":      {prometheusRequests, "code"},
	"crowsnest_jaeger_requests_total":          {jaegerRequests, "code"},
}

// maxClockLead is how far a sender's clock may be ahead: a time beyond would
// keep later values out.
const maxClockLead = time.Hour

// maxValue is above all that is counted; beyond, rates would be no numbers.
const maxValue = 1e18

func text(attributes pcommon.Map, key string) string {
	v, ok := attributes.Get(key)
	if !ok || v.Type() != pcommon.ValueTypeStr {
		return ""
	}
	return v.Str()
}

// read takes what concerns the page out of passing metrics.
func (r *roster) read(md pmetric.Metrics, now time.Time) {
	for _, rm := range md.ResourceMetrics().All() {
		switch text(rm.Resource().Attributes(), "service.name") {
		case agentJob:
			r.readProgram(agent, rm, now)
		case aggregatorJob:
			r.readProgram(aggregator, rm, now)
		case nodesJob:
			r.readNodes(rm, now)
		}
	}
}

func (r *roster) readProgram(role role, rm pmetric.ResourceMetrics, now time.Time) {
	attributes := rm.Resource().Attributes()
	name := text(attributes, "service.instance.id")
	if name == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.findLocked(role, name, now)
	if p == nil {
		return
	}
	keep(&p.namespace, text(attributes, "k8s.namespace.name"))
	keep(&p.pod, text(attributes, "k8s.pod.name"))
	keep(&r.cluster, text(attributes, "k8s.cluster.name"))
	var newest int64
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			newest = max(newest, r.readMetricLocked(p, m, now))
		}
	}
	if newest != 0 {
		r.readLocked(p, newest, now)
	}
}

// keep copies a text that is new; almost always it is not.
func keep(to *string, from string) {
	if from != "" && *to != from {
		*to = cut(from, maxNameBytes)
	}
}

// readMetricLocked returns the newest time among its points, 0 if it is not one
// that is read.
func (r *roster) readMetricLocked(p *program, m pmetric.Metric, now time.Time) int64 {
	if m.Name() == "target_info" {
		for _, dp := range points(m).All() {
			// The name that a page gives it depends on what its reader understands.
			keep(&p.version, text(dp.Attributes(), "service.version"))
			keep(&p.version, text(dp.Attributes(), "service_version"))
		}
		return 0
	}
	f, ok := families[m.Name()]
	if !ok {
		return 0
	}
	var newest int64
	for _, dp := range points(m).All() {
		at := min(dp.Timestamp().AsTime().UnixNano(), now.Add(maxClockLead).UnixNano())
		newest = max(newest, at)
		key := seriesKey{family: f.family, signal: text(dp.Attributes(), "signal"), component: text(dp.Attributes(), "component")}
		if f.detail != "" {
			key.detail = text(dp.Attributes(), f.detail)
		}
		if dp.Flags().NoRecordedValue() {
			r.removeLocked(p, key)
			continue
		}
		if value := number(dp); value >= 0 && value < maxValue { // not NaN, not infinite
			r.setLocked(p, key, value, at, now)
		}
	}
	return newest
}

func points(m pmetric.Metric) pmetric.NumberDataPointSlice {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints()
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints()
	}
	return pmetric.NewNumberDataPointSlice()
}

func number(dp pmetric.NumberDataPoint) float64 {
	if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
		return float64(dp.IntValue())
	}
	return dp.DoubleValue()
}

// readNodes takes the nodes that the cluster has.
func (r *roster) readNodes(rm pmetric.ResourceMetrics, now time.Time) {
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			if m.Name() != "kube_node_info" {
				continue
			}
			r.mu.Lock()
			for _, dp := range points(m).All() {
				name := text(dp.Attributes(), "node")
				switch {
				case name == "":
				case dp.Flags().NoRecordedValue():
					r.removeNodeLocked(name)
				default:
					r.seeNodeLocked(name, now)
				}
			}
			r.mu.Unlock()
		}
	}
}

// nodeOf is the node that a batch of log records comes from.
func nodeOf(ld plog.Logs) string {
	if ld.ResourceLogs().Len() == 0 {
		return ""
	}
	return text(ld.ResourceLogs().At(0).Resource().Attributes(), "k8s.node.name")
}

package kubeevents

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// serviceName is that of every record, and in Loki the label service_name.
const serviceName = "kubernetes-events"

// encode makes the records of events: a resource for each namespace, in which
// they are in their order.
func encode(events []*event, now time.Time) plog.Logs {
	logs := plog.NewLogs()
	namespaces := map[string]plog.LogRecordSlice{}
	observed := pcommon.NewTimestampFromTime(now)
	for _, e := range events {
		records, ok := namespaces[e.objectNamespace]
		if !ok {
			records = newNamespace(logs, e.objectNamespace)
			namespaces[e.objectNamespace] = records
		}
		r := records.AppendEmpty()
		r.SetObservedTimestamp(observed)
		e.write(r)
	}
	return logs
}

// newNamespace begins the records about objects of a namespace, or of none.
//
// The resource says no more, since it is what makes a stream in Loki: pods and
// nodes are named by whoever may create an event, so as labels they would be
// without a bound. The empty node name keeps the aggregator's own from being
// stamped on.
func newNamespace(logs plog.Logs, namespace string) plog.LogRecordSlice {
	of := logs.ResourceLogs().AppendEmpty()
	attributes := of.Resource().Attributes()
	attributes.PutStr("service.name", serviceName)
	attributes.PutStr("k8s.node.name", "")
	if namespace != "" {
		attributes.PutStr("k8s.namespace.name", namespace)
	}
	return of.ScopeLogs().AppendEmpty().LogRecords()
}

// write fills a record; names are those of the semantic conventions, and of the
// OpenTelemetry Collector's own receivers of events where these have none.
func (e *event) write(r plog.LogRecord) {
	r.SetTimestamp(pcommon.NewTimestampFromTime(e.at))
	r.SetSeverityText(e.kind)
	switch e.kind {
	case "Normal":
		r.SetSeverityNumber(plog.SeverityNumberInfo)
		r.SetSeverityText("INFO")
	case "Warning":
		r.SetSeverityNumber(plog.SeverityNumberWarn)
		r.SetSeverityText("WARN")
	}
	r.Body().SetStr(e.line())
	attributes := r.Attributes()
	attributes.EnsureCapacity(16)
	for _, a := range [...]struct{ key, value string }{
		{"k8s.event.reason", e.reason},
		{"k8s.event.action", e.action},
		{"k8s.event.name", e.name},
		{"k8s.event.uid", e.uid},
		{"k8s.event.reporting_controller", e.component},
		{"k8s.object.kind", e.objectKind},
		{"k8s.object.name", e.objectName},
		{"k8s.object.uid", e.objectUID},
		{"k8s.object.api_version", e.objectAPIVersion},
		{"k8s.object.fieldpath", e.objectFieldPath},
		{"k8s.node.name", e.node},
	} {
		if a.value != "" {
			attributes.PutStr(a.key, a.value)
		}
	}
	attributes.PutInt("k8s.event.count", e.count)
	if !e.first.IsZero() {
		attributes.PutStr("k8s.event.start_time", e.first.UTC().Format(time.RFC3339Nano))
	}
}

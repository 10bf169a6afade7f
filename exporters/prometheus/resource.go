package prometheus

import (
	"slices"

	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

const targetInfo = "target_info"

var targetInfoFamily = &family{
	name: targetInfo,
	help: "Attributes of the resource whose metrics have the same job and instance.",
	typ:  prompb.MetricMetadata_GAUGE, // as OpenMetrics' info shows in the text formats
}

// promoted are the resource attributes that become labels of every series.
var promoted = [...]struct{ attribute, label string }{
	{"k8s.cluster.name", "cluster"},
	{"k8s.container.name", "container"},
	{"k8s.namespace.name", "namespace"},
	{"k8s.node.name", "node"},
	{"k8s.pod.name", "pod"},
}

// identifying attributes are in job and instance and not in target_info again.
var identifying = [...]string{"service.name", "service.namespace", "service.instance.id"}

// resourceLabels are what a resource gives its series; both lists are sorted.
type resourceLabels struct {
	exposition []label // for metrics from a Prometheus exposition
	otel       []label // for others
}

func newResourceLabels(attrs pcommon.Map) resourceLabels {
	var common []label
	for _, p := range promoted {
		common = appendAttribute(common, p.label, attrs, p.attribute)
	}
	common = appendAttribute(common, "instance", attrs, "service.instance.id")

	var r resourceLabels
	// A scrape job's name is the whole job: a namespace that identity processing
	// added to the resource must not turn "kubelet" into "kube-system/kubelet".
	r.exposition = appendAttribute(slices.Clone(common), "job", attrs, "service.name")
	r.exposition = appendAttribute(r.exposition, "metrics_path", attrs, "url.path")
	slices.SortFunc(r.exposition, compareLabels)

	r.otel = common
	if job := otelJob(attrs); job != "" {
		r.otel = append(r.otel, label{Name: "job", Value: job})
	}
	slices.SortFunc(r.otel, compareLabels)
	return r
}

func appendAttribute(to []label, name string, attrs pcommon.Map, attribute string) []label {
	if v, ok := attrs.Get(attribute); ok {
		to = append(to, label{name, labelValue(v)})
	}
	return to
}

func otelJob(attrs pcommon.Map) string {
	name, ok := attrs.Get("service.name")
	if !ok || name.AsString() == "" {
		return "" // a namespace alone names no job
	}
	if ns, ok := attrs.Get("service.namespace"); ok && ns.AsString() != "" {
		return labelValue(ns) + "/" + labelValue(name)
	}
	return labelValue(name)
}

// withScope adds a scope's name and version; labels stays as it is.
func withScope(labels []label, scope pcommon.InstrumentationScope) []label {
	if scope.Name() == "" && scope.Version() == "" {
		return labels
	}
	out := append(slices.Clone(labels),
		label{Name: "otel_scope_name", Value: validText(scope.Name())},
		label{Name: "otel_scope_version", Value: validText(scope.Version())})
	slices.SortFunc(out, compareLabels)
	return out
}

// targetInfo makes the series that carries the resource's other attributes; ok
// is false if there are none, or nothing (job, instance) to join them by.
func (b *labeler) targetInfo(attrs pcommon.Map, r resourceLabels) (packed, bool) {
	joinable := slices.ContainsFunc(r.otel, func(l label) bool {
		return (l.Name == "job" || l.Name == "instance") && l.Value != ""
	})
	if !joinable {
		return nil, false
	}
	rest := pcommon.NewMap()
	attrs.CopyTo(rest)
	rest.RemoveIf(func(k string, _ pcommon.Value) bool { return isIdentity(k) || isPromoted(k) })
	if rest.Len() == 0 {
		return nil, false
	}
	// job, instance and the identity must win over an attribute of the same name.
	rest.RemoveIf(func(k string, _ pcommon.Value) bool {
		name := b.name(k, false)
		return slices.ContainsFunc(r.otel, func(l label) bool { return l.Name == name })
	})
	return b.build(labelSource{metric: targetInfo, resource: r.otel}, rest), true
}

func isIdentity(key string) bool { return slices.Contains(identifying[:], key) }

func isPromoted(key string) bool {
	for _, p := range promoted {
		if p.attribute == key {
			return true
		}
	}
	return false
}

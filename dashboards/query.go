package dashboards

import (
	"regexp"
	"strings"
)

// Source is a kind of store.
type Source string

const (
	Prometheus Source = "prometheus"
	Loki       Source = "loki"
	Jaeger     Source = "jaeger"
)

// variable is the dashboard variable that chooses the data source.
func (s Source) variable() string {
	if s == Prometheus {
		return "datasource" // what links from the mixins' dashboards carry
	}
	return string(s)
}

// Query is one target of a panel.
type Query struct {
	Source  Source
	Expr    string // PromQL or LogQL with Grafana's variables; Jaeger: service and tags, see search
	Legend  string // series name, column name in a table
	Unit    string // Grafana's unit id
	Instant bool
	// Needs says what there must be before the query returns anything; empty if
	// every cluster has it.
	Needs Need

	steps    *steps // column thresholds
	dashed   bool   // a limit, not a measurement
	exemplar bool
	tags     string // Jaeger: tags to search for
}

// scopes abbreviate the matchers that nearly every selector begins with. An
// empty cluster matches series without that label.
var scopes = strings.NewReplacer(
	"<cluster>", `cluster=~"$cluster"`,
	"<namespace>", `cluster=~"$cluster", namespace=~"$namespace"`,
	"<workload>", `cluster=~"$cluster", namespace=~"$namespace", workload=~"$workload"`,
	"<pod>", `cluster=~"$cluster", namespace=~"$namespace", pod=~"$pod"`,
	"<claim>", `cluster=~"$cluster", namespace=~"$namespace", persistentvolumeclaim=~"$persistentvolumeclaim"`,
	"<node>", `cluster=~"$cluster", node=~"$node"`,
	"<host>", `cluster=~"$cluster", job="node-exporter", instance=~"$node"`,
	"<hosts>", `cluster=~"$cluster", job="node-exporter"`,
	// Real containers: neither the pod's cgroup nor the kubelet's resource page.
	"<container>", `container!="", image!=""`,
	"<disk>", `device=~"(/dev/)?(mmcblk.p.+|nvme.+|rbd.+|sd.+|vd.+|xvd.+|dm-.+|md.+|dasd.+)"`,
	"<nic>", `device!~"lo|veth.+"`,
	"<fs>", `fstype!="", mountpoint!=""`,
	// A pod's owner by kubernetes-mixin's rule, to be multiplied with a value by pod.
	"<owner>", `on (cluster, namespace, pod) group_left (workload, workload_type) max by (cluster, namespace, pod, workload, workload_type) (namespace_workload_pod:kube_pod_owner:relabel{cluster=~"$cluster", namespace=~"$namespace", workload=~"$workload"})`,
	// Only pods that take up place: one value for each, 1, to be multiplied with.
	"<active>", `* on (cluster, namespace, pod) group_left () max by (cluster, namespace, pod) (kube_pod_status_phase{cluster=~"$cluster", phase=~"Pending|Running"} == 1)`,
	"<self>", `cluster=~"$cluster", job=~"crowsnest-agent|crowsnest-aggregator"`,
)

func q(expr, legend string) Query {
	return Query{Source: Prometheus, Expr: clean(expr), Legend: legend}
}

// clean lets an expression be written over several lines.
func clean(expr string) string {
	return scopes.Replace(strings.Join(strings.Fields(expr), " "))
}

func lq(expr, legend string) Query {
	query := q(expr, legend)
	query.Source = Loki
	return query
}

// search asks Jaeger for the newest traces of a service with tags in logfmt.
func search(service, tags string) Query {
	return Query{Source: Jaeger, Expr: service, tags: tags}
}

// limit draws the series as a dashed line, which others are compared with.
func limit(expr, legend string) Query {
	query := q(expr, legend)
	query.dashed = true
	return query
}

func (q Query) in(unit string) Query      { q.Unit = unit; return q }
func (q Query) needs(need Need) Query     { q.Needs = need; return q }
func (q Query) warn(at ...float64) Query  { q.steps = above(at...); return q }
func (q Query) below(at ...float64) Query { q.steps = under(at...); return q }

// withExemplars asks for the traces behind the samples too.
func (q Query) withExemplars() Query { q.exemplar = true; return q }

var variableUse = regexp.MustCompile(`\$\{?([A-Za-z_]+)(?::[a-z]+)?\}?`)

// defaults stand for what Grafana fills in itself, over the last hour.
var defaults = map[string]string{
	"__rate_interval": "5m",
	"__interval":      "1m",
	"__auto":          "1m",
	"__range":         "1h",
	"__range_s":       "3600",
	"__from":          "0",
}

// Resolve puts values in place of Grafana's variables: those given, Grafana's
// own, and for others what matches everything.
func (q Query) Resolve(values map[string]string) string { return resolve(q.Expr, values) }

func resolve(expr string, values map[string]string) string {
	return variableUse.ReplaceAllStringFunc(expr, func(use string) string {
		name := variableUse.FindStringSubmatch(use)[1]
		if value, ok := values[name]; ok {
			return value
		}
		if value, ok := defaults[name]; ok {
			return value
		}
		switch name {
		case "cluster":
			return ".*" // the label may be missing
		case "search":
			return ""
		}
		return ".+"
	})
}

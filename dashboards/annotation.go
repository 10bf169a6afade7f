package dashboards

import (
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/common"
)

// Annotation marks moments over all panels. The SDK's type knows neither titles
// nor values that are times.
type Annotation struct {
	Source Source
	Name   string
	Expr   string
	title  string
	text   string
	tags   string
	colour string
	// value says that the series' value is the moment, in milliseconds.
	value bool
}

// annotationModel is the annotation as Grafana's Prometheus and Loki data sources
// read it.
type annotationModel struct {
	Name            string                `json:"name"`
	Datasource      *common.DataSourceRef `json:"datasource"`
	Enable          bool                  `json:"enable"`
	Hide            bool                  `json:"hide"`
	IconColor       string                `json:"iconColor"`
	BuiltIn         int                   `json:"builtIn,omitempty"`
	Type            string                `json:"type,omitempty"`
	Expr            string                `json:"expr,omitempty"`
	Step            string                `json:"step,omitempty"`
	TitleFormat     string                `json:"titleFormat,omitempty"`
	TextFormat      string                `json:"textFormat,omitempty"`
	TagKeys         string                `json:"tagKeys,omitempty"`
	UseValueForTime bool                  `json:"useValueForTime,omitempty"`
	QueryType       string                `json:"queryType,omitempty"`
	MaxLines        int                   `json:"maxLines,omitempty"`
}

type annotationList struct {
	List []annotationModel `json:"list"`
}

// annotationStep is how far apart samples may be and still be one event.
const annotationStep = "60s"

// happenings are rollouts, kills for memory and crashes within a scope of pods:
// a set of matchers that end in a namespace or pod. Each carries the time that
// Kubernetes states for it, so scrapes may be missing around it.
func happenings(scope string) []Annotation {
	return append(rollouts(scope), exits(scope)...)
}

func rollouts(scope string) []Annotation {
	return []Annotation{
		{Source: Prometheus, Name: "Rollouts", title: "Rollout of {{owner_name}}", text: "{{namespace}}/{{replicaset}} was created", tags: "namespace,owner_name",
			colour: "blue", value: true, Expr: clean(`(kube_replicaset_created{` + scope + `} * 1000 > $__from)
				* on (cluster, namespace, replicaset) group_left (owner_name) kube_replicaset_owner{` + scope + `, owner_kind="Deployment"}`)},
		{Source: Prometheus, Name: "New revisions", title: "New revision of {{statefulset}}{{daemonset}}", text: "in {{namespace}}", tags: "namespace",
			colour: "purple", Expr: clean(`changes(kube_statefulset_status_observed_generation{` + scope + `}[$__rate_interval]) > 0
				or changes(kube_daemonset_status_observed_generation{` + scope + `}[$__rate_interval]) > 0`)},
	}
}

func exits(scope string) []Annotation {
	exit := func(matcher string) string {
		return clean(`(kube_pod_container_status_last_terminated_timestamp{` + scope + `} * 1000 > $__from)
			* on (cluster, namespace, pod, uid, container) group_left (reason)
			kube_pod_container_status_last_terminated_reason{` + scope + `, ` + matcher + `}`)
	}
	const text = "container {{container}} of {{namespace}}/{{pod}}"
	return []Annotation{
		{Source: Prometheus, Name: "Out of memory", title: "Killed for memory", text: text, tags: "namespace,pod",
			colour: "red", value: true, Expr: exit(`reason="OOMKilled"`)},
		{Source: Prometheus, Name: "Crashes", title: "Terminated: {{reason}}", text: text, tags: "namespace,pod",
			colour: "orange", value: true, Expr: exit(`reason!~"OOMKilled|Completed"`)},
	}
}

// reboots are those of the chosen nodes.
func reboots() []Annotation {
	return []Annotation{{Source: Prometheus, Name: "Reboots", title: "{{instance}} booted", tags: "instance", colour: "red", value: true,
		Expr: clean(`node_boot_time_seconds{<host>} * 1000 > $__from`)}}
}

// warnings are the Kubernetes events of type Warning about what the dashboard
// shows; the text is the event's line.
func (d *Dashboard) warnings() Annotation {
	return Annotation{Source: Loki, Name: "Warning events", title: "{{k8s_event_reason}}: {{k8s_object_kind}} {{k8s_object_name}}",
		tags: "namespace,k8s_object_kind", colour: "yellow", Expr: clean(kubeEvents(d.eventScope()) + warning)}
}

// eventScope selects events by the variables that the dashboard has.
func (d *Dashboard) eventScope() (labels, fields string) {
	switch {
	case d.chooses(onePod):
		return "<namespace>", ofPod
	case d.chooses(oneNode), d.chooses(nodeVariable):
		return "<cluster>", ofNode
	case slices.ContainsFunc(d.Variables, func(v Variable) bool { return v.Name == namespaceVariable.Name }):
		return "<namespace>", ""
	}
	return "<cluster>", ""
}

const (
	warning = ` | severity="WARN"`
	ofPod   = ` | k8s_object_kind="Pod" | k8s_object_name=~"$pod"`
	ofNode  = ` | k8s_node_name=~"$node"`
)

// kubeEvents selects Kubernetes events, as receivers/kubeevents tells them.
func kubeEvents(labels, fields string) string {
	return `{service_name="kubernetes-events", ` + labels + `}` + fields
}

func (a Annotation) model() annotationModel {
	source := reference(a.Source)
	m := annotationModel{Name: a.Name, Datasource: &source, Enable: true, IconColor: a.colour, Expr: a.Expr,
		TitleFormat: a.title, TextFormat: a.text, TagKeys: a.tags, UseValueForTime: a.value}
	if a.Source == Loki {
		m.QueryType, m.MaxLines = "range", maxLines
	} else {
		m.Step = annotationStep
	}
	return m
}

// builtIn are the marks that people set by hand.
func builtIn() annotationModel {
	kind, uid := "grafana", "-- Grafana --"
	return annotationModel{Name: "Annotations & Alerts", Datasource: &common.DataSourceRef{Type: &kind, Uid: &uid},
		Enable: true, Hide: true, IconColor: "blue", BuiltIn: 1, Type: "dashboard"}
}

// Resolve puts values in place of Grafana's variables, as [Query.Resolve] does.
func (a Annotation) Resolve(values map[string]string) string { return resolve(a.Expr, values) }

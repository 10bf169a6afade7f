package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Variable is a choice at a dashboard's top.
type Variable struct {
	Name  string
	Label string
	// Query that lists the values, in the data source's own words; empty for
	// data sources and text.
	Query  string
	Source Source
	kind   variableKind
	all    string // regular expression for All; empty if one value is chosen
	// values to choose from and those chosen at first, if they are fixed.
	values, chosen []string
}

type variableKind int

const (
	listed variableKind = iota
	chosenSource
	text
	fixed
)

func sourceVariable(source Source) Variable {
	labels := map[Source]string{Prometheus: "Metrics", Loki: "Logs", Jaeger: "Traces"}
	return Variable{Name: source.variable(), Label: labels[source], Source: source, kind: chosenSource}
}

func one(name, label, query string) Variable {
	return Variable{Name: name, Label: label, Query: scopes.Replace(query), Source: Prometheus}
}

func several(name, label, query string) Variable {
	v := one(name, label, query)
	v.all = ".+"
	return v
}

var (
	// Series without the label match the empty choice.
	clusterVariable   = one("cluster", "Cluster", `label_values(kube_node_info, cluster)`)
	namespaceVariable = several("namespace", "Namespace", `label_values(kube_namespace_status_phase{<cluster>}, namespace)`)
	nodeVariable      = several("node", "Node", `label_values(kube_node_info{<cluster>}, node)`)
	workloadVariable  = several("workload", "Workload", `label_values(namespace_workload_pod:kube_pod_owner:relabel{<namespace>}, workload)`)
	oneNamespace      = one("namespace", "Namespace", `label_values(kube_pod_info{<cluster>}, namespace)`)
	onePod            = one("pod", "Pod", `label_values(kube_pod_info{<namespace>}, pod)`)
	oneNode           = one("node", "Node", `label_values(kube_node_info{<cluster>}, node)`)
)

func (v Variable) builder() cog.Builder[dashboard.VariableModel] {
	switch v.kind {
	case chosenSource:
		return dashboard.NewDatasourceVariableBuilder(v.Name).Label(v.Label).
			Description("Data source to take " + v.Label + " from").Type(string(v.Source))
	case text:
		return dashboard.NewTextBoxVariableBuilder(v.Name).Label(v.Label).
			DefaultValue(dashboard.StringOrMap{String: cog.ToPtr("")})
	}
	if v.kind == fixed {
		return dashboard.NewCustomVariableBuilder(v.Name).Label(v.Label).Multi(true).IncludeAll(true).AllValue(v.all).
			Values(dashboard.StringOrMap{String: cog.ToPtr(strings.Join(v.values, ","))}).Current(option(v.chosen...))
	}
	b := dashboard.NewQueryVariableBuilder(v.Name).Label(v.Label).Datasource(reference(v.Source)).
		Query(v.model()).Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalCaseInsensitiveAsc).Multi(v.all != "").IncludeAll(v.all != "")
	if v.all != "" {
		b.AllValue(v.all).Current(option())
	}
	return b
}

// option is a choice of several values; without any, of all.
func option(values ...string) dashboard.VariableOption {
	texts := values
	if len(values) == 0 {
		texts, values = []string{"All"}, []string{"$__all"}
	}
	return dashboard.VariableOption{Selected: cog.ToPtr(true),
		Text:  dashboard.StringOrArrayOfString{ArrayOfString: texts},
		Value: dashboard.StringOrArrayOfString{ArrayOfString: values}}
}

// model is the query as the data source's variable editor stores it.
func (v Variable) model() dashboard.StringOrMap {
	if v.Source == Loki {
		const labelValues = 1
		return dashboard.StringOrMap{Map: map[string]any{
			"label": v.Query, "stream": "", "type": labelValues, "refId": "LokiVariableQueryEditor-VariableQuery"}}
	}
	return dashboard.StringOrMap{Map: map[string]any{
		"query": v.Query, "refId": "PrometheusVariableQueryEditor-VariableQuery"}}
}

func reference(source Source) common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr(string(source)), Uid: cog.ToPtr("${" + source.variable() + "}")}
}

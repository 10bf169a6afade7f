package dashboards

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Tag is on every dashboard; the menu that joins them goes by it.
const Tag = "crowsnest"

// link leads from a series or a table's row to where its object is looked at.
type link struct {
	title  string
	uid    string   // dashboard
	values []string // variables to set from labels of the same name, or "variable=label"
	source Source   // Explore instead of a dashboard
	expr   string   // what to explore; {{label}} stands for the label's value
}

func to(uid, title string, values ...string) link {
	return link{uid: uid, title: title, values: values}
}

// Links by what they lead to; named values are labels that must be there.
var (
	toNode       = to("crowsnest-node", "Node", "node")
	toHost       = to("crowsnest-node", "Node", "node=instance")
	toNamespace  = to("crowsnest-workloads", "Workloads of the namespace", "namespace")
	toWorkload   = to("crowsnest-workloads", "Workload", "namespace", "workload")
	toPod        = to("crowsnest-pod", "Pod", "namespace", "pod")
	toClaim      = to("crowsnest-storage", "Storage of the claim", "namespace", "persistentvolumeclaim")
	toService    = to("crowsnest-services", "Service", "service=service_name")
	podLogs      = link{title: "Lines of the pod", source: Loki, expr: `{namespace="{{namespace}}", pod="{{pod}}"}`}
	namespaceLog = link{title: "Lines of the namespace", source: Loki, expr: `{namespace="{{namespace}}"}`}
	serviceLogs  = link{title: "Lines of the service", source: Loki, expr: `{service_name="{{service_name}}"}`}
	serviceTrace = link{title: "Traces of the service", source: Jaeger, expr: `{{service_name}}`}
)

var labelUse = regexp.MustCompile(`\{\{(\w+)\}\}`)

// labels are those that the link reads.
func (l link) labels() []string {
	var labels []string
	for _, value := range l.values {
		_, label := cut(value)
		labels = append(labels, label)
	}
	for _, use := range labelUse.FindAllStringSubmatch(l.expr, -1) {
		labels = append(labels, use[1])
	}
	return labels
}

func cut(value string) (variable, label string) {
	variable, label, found := strings.Cut(value, "=")
	if !found {
		label = variable
	}
	return variable, label
}

// url takes what a label's value is called where the link hangs.
func (l link) url(value func(label string) string) string {
	if l.source != "" {
		expr := labelUse.ReplaceAllStringFunc(l.expr, func(use string) string {
			return value(labelUse.FindStringSubmatch(use)[1])
		})
		return exploreURL(l.source, expr)
	}
	u := "/d/" + l.uid + "?${datasource:queryparam}&${cluster:queryparam}"
	for _, v := range l.values {
		variable, label := cut(v)
		u += "&var-" + variable + "=" + value(label)
	}
	return u + "&${__url_time_range}"
}

func ofSeries(label string) string { return "${__field.labels." + label + "}" }
func ofRow(column string) string   { return "${__data.fields." + column + "}" }

// exploreURL opens Explore with one query in the dashboard's time range.
func exploreURL(source Source, expr string) string {
	uid := "${" + source.variable() + "}"
	query := map[string]any{"refId": "A", "datasource": map[string]string{"type": string(source), "uid": uid}}
	if source == Jaeger {
		query["queryType"], query["service"] = "search", expr
	} else {
		query["expr"] = expr
	}
	panes, err := json.Marshal(map[string]any{"crowsnest": map[string]any{
		"datasource": uid,
		"queries":    []any{query},
		"range":      map[string]string{"from": "${__from}", "to": "${__to}"},
	}})
	if err != nil {
		panic(err) // strings only
	}
	return "/explore?schemaVersion=1&orgId=1&panes=" + escape(string(panes))
}

var placeholder = regexp.MustCompile(`\$\{[^}]+\}`)

// escape leaves Grafana's variables readable: it fills them in before the
// browser sees the address.
func escape(text string) string {
	var b strings.Builder
	for text != "" {
		at := placeholder.FindStringIndex(text)
		if at == nil {
			at = []int{len(text), len(text)}
		}
		b.WriteString(strings.ReplaceAll(url.QueryEscape(text[:at[0]]), "+", "%20"))
		b.WriteString(text[at[0]:at[1]])
		text = text[at[1]:]
	}
	return b.String()
}

// dataLink is the form of links in field settings.
type dataLink struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	TargetBlank bool   `json:"targetBlank"`
}

// menu are the links at a dashboard's top.
func (d Dashboard) menu() []cog.Builder[dashboard.DashboardLink] {
	links := []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder("Crowsnest").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{Tag}).
			Icon("external link").Tooltip("All dashboards of Crowsnest").AsDropdown(true).IncludeVars(true).KeepTime(true),
		exploreLink(Prometheus, "Explore metrics", "up"),
	}
	if d.uses(Loki) {
		links = append(links, exploreLink(Loki, "Explore logs", `{namespace=~".+"}`))
	}
	return links
}

func exploreLink(source Source, title, expr string) cog.Builder[dashboard.DashboardLink] {
	return dashboard.NewDashboardLinkBuilder(title).Type(dashboard.DashboardLinkTypeLink).Tags([]string{}).
		Icon("bolt").Tooltip(title).Url(exploreURL(source, expr))
}

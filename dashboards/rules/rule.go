package rules

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// File is a rule file.
type File struct {
	Name   string // without extension
	Loki   bool   // for Loki's ruler: the expressions are LogQL
	Groups []Group
}

// Group is evaluated in order: alerts and records may read earlier records.
type Group struct {
	Name     string
	Interval string // empty: the server's
	Records  []Record
	Alerts   []Alert
}

// Record is a recording rule.
type Record struct {
	Name   string
	Expr   string
	Labels map[string]string
}

// Alert is an alerting rule and what of it may be changed.
type Alert struct {
	Name     string
	Variant  string // tells apart alerts of one name: "Critical", "1h5m"
	Severity string // critical: now; warning: today; info: beside others; none
	For      string // empty: at once
	Expr     string
	Params   map[string]string // placeholders of Expr and texts, with their defaults
	Labels   map[string]string // further labels
	Board    string            // dashboard, and the labels that are its variables: "pod namespace pod"
	Summary  string
	Text     string // the description: it names the object
}

// Severities.
const (
	critical = "critical"
	warning  = "warning"
	info     = "info"
)

// Base URLs of the plain files. Grafana's address is not known to them.
const (
	runbooksURL   = "https://github.com/crowsnest-o11y/crowsnest/blob/main/dashboards/runbooks"
	dashboardsURL = ""
)

// ID is the name by which values of the chart address the alert.
func (a Alert) ID() string { return a.Name + a.Variant }

// Namespaced tells whether the alert can be limited to some namespaces.
func (a Alert) Namespaced() bool { return strings.Contains(a.Expr, "<ns>") }

var placeholder = regexp.MustCompile(`<[a-zA-Z]+>`)

// fill replaces placeholders; those that values lack stay.
func fill(text string, values map[string]string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		if v, ok := values[p[1:len(p)-1]]; ok {
			return v
		}
		return p
	})
}

// filled is the alert with its defaults. The matcher goes where namespaces are
// selected: "" or `, namespace=~"shop"`.
func (a Alert) filled(matcher string) Alert {
	values := maps.Clone(a.Params)
	if values == nil {
		values = map[string]string{}
	}
	values["ns"] = matcher
	a.Expr = fill(a.Expr, values)
	a.Summary, a.Text = fill(a.Summary, values), fill(a.Text, values)
	return a
}

// annotations are the texts and links of the alert.
func (a Alert) annotations() map[string]string {
	return map[string]string{
		"summary":       a.Summary,
		"description":   a.Text,
		"runbook_url":   "<runbooks>/" + a.Name + ".md",
		"dashboard_url": a.dashboard(),
	}
}

func (a Alert) dashboard() string {
	uid, variables, _ := strings.Cut(a.Board, " ")
	url := "<dashboards>/d/crowsnest-" + uid + "?var-cluster={{ $labels.cluster }}"
	for _, v := range strings.Fields(variables) {
		name, label, renamed := strings.Cut(v, "=")
		if !renamed {
			label = name
		}
		url += "&var-" + name + "={{ $labels." + label + " }}"
	}
	return url
}

// Alerts are all alerts of the file.
func (f File) Alerts() []Alert {
	var alerts []Alert
	for _, g := range f.Groups {
		alerts = append(alerts, g.Alerts...)
	}
	return alerts
}

// Files are all rule files.
func Files() []File {
	return slices.Concat(recordFiles(), alertFiles())
}

package rules

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ruleFile is the form of rule files; its chart's variant has more keys.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
}

type ruleGroup struct {
	Name     string `yaml:"name"`
	Interval string `yaml:"interval,omitempty"`
	Rules    []rule `yaml:"rules"`
}

type rule struct {
	ID          string            `yaml:"id,omitempty"` // chart only
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Severity    string            `yaml:"severity,omitempty"`   // chart only
	Namespaced  bool              `yaml:"namespaced,omitempty"` // chart only
	Parameters  map[string]string `yaml:"parameters,omitempty"` // chart only
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// Plain renders the file with its defaults, as Prometheus and promtool read it.
func (f File) Plain() ([]byte, error) {
	return f.render(func(a Alert) rule { return a.plain("") })
}

// Chart renders the file with placeholders, as the chart's template reads it.
func (f File) Chart() ([]byte, error) { return f.render(Alert.chart) }

func (f File) render(alert func(Alert) rule) ([]byte, error) {
	var out ruleFile
	for _, g := range f.Groups {
		group := ruleGroup{Name: g.Name, Interval: g.Interval}
		for _, r := range g.Records {
			group.Rules = append(group.Rules, rule{Record: r.Name, Expr: dedent(r.Expr), Labels: r.Labels})
		}
		for _, a := range g.Alerts {
			group.Rules = append(group.Rules, alert(a))
		}
		out.Groups = append(out.Groups, group)
	}
	return marshal(out)
}

func (a Alert) plain(matcher string) rule {
	labels := map[string]string{"severity": a.Severity}
	for k, v := range a.Labels {
		labels[k] = v
	}
	a = a.filled(matcher)
	annotations := a.annotations()
	for k, v := range annotations {
		annotations[k] = fill(v, map[string]string{"runbooks": runbooksURL, "dashboards": dashboardsURL})
	}
	return rule{Alert: a.Name, Expr: dedent(a.Expr), For: a.For, Labels: labels, Annotations: annotations}
}

func (a Alert) chart() rule {
	return rule{ID: a.ID(), Alert: a.Name, Expr: dedent(a.Expr), For: a.For, Severity: a.Severity,
		Namespaced: a.Namespaced(), Parameters: a.Params, Labels: a.Labels, Annotations: a.annotations()}
}

// dedent removes the indentation that an expression has in Go code.
func dedent(text string) string {
	lines := strings.Split(strings.Trim(text, "\n\t "), "\n")
	cut := -1
	for _, line := range lines[1:] {
		tabs := len(line) - len(strings.TrimLeft(line, "\t"))
		if strings.TrimSpace(line) != "" && (cut < 0 || tabs < cut) {
			cut = tabs
		}
	}
	for i, line := range lines[1:] {
		line = line[min(max(cut, 0), len(line)):]
		body := strings.TrimLeft(line, "\t")
		lines[i+1] = strings.Repeat("  ", len(line)-len(body)) + strings.TrimRight(body, " \t")
	}
	return strings.Join(lines, "\n")
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode rules: %w", err)
	}
	return b.Bytes(), enc.Close()
}

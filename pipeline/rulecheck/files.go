package rulecheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Language of a query.
type Language string

// The languages that are checked.
const (
	PromQL Language = "PromQL"
	LogQL  Language = "LogQL"
)

// Query is one expression of a rule, a panel or an annotation.
type Query struct {
	File string
	// Name says where in the file: "alert KubePodNotReady", "record a:b",
	// "panel CPU", "annotation Rollouts".
	Name     string
	Language Language
	Expr     string
	// Records is the metric that a recording rule makes.
	Records string
}

// maxFileBytes bounds a file.
const maxFileBytes = 16 << 20

// Read returns the queries of a file: YAML of Prometheus rules (or of objects
// of kind PrometheusRule), or JSON of a Grafana dashboard.
func Read(name string, r io.Reader) ([]Query, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("read %s: it is larger than %d MiB", name, maxFileBytes>>20)
	}
	var queries []Query
	if strings.EqualFold(path.Ext(name), ".json") {
		queries, err = readDashboard(text)
	} else {
		queries, err = readRules(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	for i := range queries {
		queries[i].File = name
	}
	return queries, nil
}

type ruleGroups struct {
	Groups []struct {
		Rules []struct {
			Alert  string `yaml:"alert"`
			Record string `yaml:"record"`
			Expr   string `yaml:"expr"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func readRules(text []byte) ([]Query, error) {
	var queries []Query
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var file struct {
			ruleGroups `yaml:",inline"`
			Spec       ruleGroups `yaml:"spec"`
		}
		if err := dec.Decode(&file); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		for _, g := range append(file.Groups, file.Spec.Groups...) {
			for _, r := range g.Rules {
				q := Query{Name: "alert " + r.Alert, Language: PromQL, Expr: r.Expr, Records: r.Record}
				if r.Record != "" {
					q.Name = "record " + r.Record
				}
				queries = append(queries, q)
			}
		}
	}
	// Much of LogQL is PromQL by its syntax: a file is of one language.
	if slices.ContainsFunc(queries, func(q Query) bool { return !isPromQL(q.Expr) && streamSelector.MatchString(q.Expr) }) {
		for i := range queries {
			queries[i].Language = LogQL
		}
	}
	if len(queries) == 0 {
		return nil, errors.New("no rules in it: neither groups nor spec.groups")
	}
	return queries, nil
}

// streamSelector is what LogQL has and PromQL has not: a selector that stands
// alone, followed by a filter, a parser or a range.
var streamSelector = regexp.MustCompile(`(^|[\s(,])\{[^}]*\}\s*(\||\[|!=|!~)`)

type panel struct {
	Title   string  `json:"title"`
	Panels  []panel `json:"panels"` // of a row
	Targets []struct {
		Expr       string     `json:"expr"`
		Datasource datasource `json:"datasource"`
	} `json:"targets"`
	Datasource datasource `json:"datasource"`
}

// datasource is an object with a type, or in old dashboards a name.
type datasource struct{ Type string }

func (d *datasource) UnmarshalJSON(text []byte) error {
	var object struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(text, &object) == nil {
		d.Type = object.Type
	}
	return nil
}

type dashboard struct {
	Panels      []panel `json:"panels"`
	Annotations struct {
		List []struct {
			Name       string     `json:"name"`
			Expr       string     `json:"expr"`
			Datasource datasource `json:"datasource"`
		} `json:"list"`
	} `json:"annotations"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

func readDashboard(text []byte) ([]Query, error) {
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	if len(d.Panels) == 0 {
		return nil, errors.New("no panels in it")
	}
	queries := panelQueries(d.Panels, d.Templating.List)
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			queries = append(queries, query("annotation "+a.Name, a.Expr, a.Datasource, d.Templating.List))
		}
	}
	return queries, nil
}

func query(name, expr string, source datasource, variables []variable) Query {
	q := Query{Name: name, Language: PromQL, Expr: substitute(expr, variables)}
	if source.Type == "loki" {
		q.Language = LogQL
	}
	return q
}

func panelQueries(panels []panel, variables []variable) []Query {
	var queries []Query
	for _, p := range panels {
		for _, t := range p.Targets {
			if t.Expr == "" {
				continue
			}
			source := t.Datasource
			if source.Type == "" {
				source = p.Datasource
			}
			queries = append(queries, query("panel "+p.Title, t.Expr, source, variables))
		}
		queries = append(queries, panelQueries(p.Panels, variables)...)
	}
	return queries
}

package dashboards

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// expression is one of a dashboard, variables filled in.
type expression struct {
	where, text string
	instant     bool
	labels      []string // that its legend or title reads
}

func promQL() []expression { return expressions(Prometheus) }

// expressions are those of panels and annotations that a source answers.
func expressions(source Source) []expression {
	var all []expression
	for _, d := range All() {
		for _, p := range d.Panels() {
			for i, query := range p.Queries {
				if query.Source == source {
					all = append(all, expression{fmt.Sprintf("%s: %q %s", d.UID, p.Title, refID(i)), query.Resolve(nil), query.Instant, labelsOf(query.Legend)})
				}
			}
		}
		for _, a := range d.Annotations {
			if a.Source == source {
				all = append(all, expression{fmt.Sprintf("%s: annotation %q", d.UID, a.Name), a.Resolve(nil), false, labelsOf(a.title + a.text)})
			}
		}
	}
	return all
}

func labelsOf(format string) (labels []string) {
	for _, use := range labelUse.FindAllStringSubmatch(format, -1) {
		labels = append(labels, use[1])
	}
	return labels
}

func TestPromQLParses(t *testing.T) {
	for _, expression := range promQL() {
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(expression.text); err != nil {
			t.Errorf("%s: %v\n%s", expression.where, err, expression.text)
		}
	}
}

// Every metric is one that exists, and every label that a query matches, groups
// or joins by is on it: the rest returns nothing, and nobody is told.
func TestQueriesReadWhatExists(t *testing.T) {
	known := readVocabulary()
	for _, expression := range promQL() {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(expression.text)
		if err != nil {
			continue // TestPromQLParses says it
		}
		reading := reading{known: known}
		reading.labels(expr)
		for _, fault := range reading.faults {
			t.Errorf("%s: %s\n%s", expression.where, fault, expression.text)
		}
	}
}

// A link or a legend that reads a label that its query drops is empty.
func TestLegendsAndLinksHaveTheirLabels(t *testing.T) {
	known := readVocabulary()
	for _, d := range All() {
		for _, p := range d.Panels() {
			var linked []string
			for _, l := range p.links {
				linked = append(linked, l.labels()...)
			}
			for _, query := range p.Queries {
				if query.Source != Prometheus {
					continue
				}
				var wanted []string
				if !query.dashed {
					wanted = slices.Clone(linked)
				}
				for _, use := range labelUse.FindAllStringSubmatch(query.Legend, -1) {
					wanted = append(wanted, use[1])
				}
				expr, err := parser.NewParser(parser.Options{}).ParseExpr(query.Resolve(nil))
				if err != nil {
					continue
				}
				got := (&reading{known: known}).labels(expr)
				for _, label := range wanted {
					if !got[label] {
						t.Errorf("%s: panel %q reads label %s, which is not in its query's result: %s", d.UID, p.Title, label, query.Expr)
					}
				}
			}
		}
	}
}

func TestResolveLeavesNoVariable(t *testing.T) {
	values := map[string]string{"namespace": "shop", "pod": "web-1"}
	query := q(`rate(a{<pod>, b="${node:regex}"}[$__rate_interval])`, "")
	const want = `rate(a{cluster=~".*", namespace=~"shop", pod=~"web-1", b=".+"}[5m])`
	if got := query.Resolve(values); got != want {
		t.Errorf("resolved %s, want %s", got, want)
	}
}

// Grafana joins the columns of a table by the labels that they share: columns
// with other labels make rows of their own.
func TestColumnsShareTheirLabels(t *testing.T) {
	known := readVocabulary()
	for _, d := range All() {
		for _, p := range d.Panels() {
			if p.Kind != Table || p.Queries[0].Source != Prometheus {
				continue
			}
			var first labelSet
			for i, query := range p.Queries {
				expr, err := parser.NewParser(parser.Options{}).ParseExpr(query.Resolve(nil))
				if err != nil {
					continue
				}
				got := (&reading{known: known}).labels(expr)
				if i == 0 {
					first = got
				} else if !maps.Equal(first, got) {
					t.Errorf("%s: table %q: column %q is by %v, column %q by %v", d.UID, p.Title, p.Queries[0].Legend, keys(first), query.Legend, keys(got))
				}
			}
		}
	}
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// A choice without values makes every query of its dashboard empty.
func TestVariablesListWhatExists(t *testing.T) {
	known := readVocabulary()
	for _, d := range All() {
		for _, v := range d.Variables {
			if v.Source != Prometheus || v.kind != listed {
				continue
			}
			parts := labelValues.FindStringSubmatch(v.Query)
			if parts == nil {
				t.Errorf("%s: variable %s asks %q", d.UID, v.Name, v.Query)
				continue
			}
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(resolve(parts[1], nil))
			if err != nil {
				t.Errorf("%s: variable %s: %v", d.UID, v.Name, err)
				continue
			}
			reading := reading{known: known}
			if got := reading.labels(expr); !got[parts[2]] || len(reading.faults) > 0 {
				t.Errorf("%s: variable %s: no label %s in %s %v", d.UID, v.Name, parts[2], parts[1], reading.faults)
			}
		}
	}
}

// Variables that a query uses are its dashboard's.
func TestQueriesUseVariablesThatAreThere(t *testing.T) {
	for _, d := range All() {
		there := setOf("__rate_interval", "__interval", "__auto", "__range", "__range_s", "__from")
		for _, v := range d.Variables {
			there[v.Name] = true
		}
		for _, p := range d.Panels() {
			for _, query := range p.Queries {
				for _, use := range variableUse.FindAllStringSubmatch(query.Expr, -1) {
					if !there[use[1]] {
						t.Errorf("%s: panel %q uses $%s, which is not there", d.UID, p.Title, use[1])
					}
				}
			}
		}
		for _, a := range d.Annotations {
			for _, use := range variableUse.FindAllStringSubmatch(a.Expr, -1) {
				if !there[use[1]] {
					t.Errorf("%s: annotation %q uses $%s, which is not there", d.UID, a.Name, use[1])
				}
			}
		}
	}
}

package rules

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"
	"go.yaml.in/yaml/v3"
)

// alertCase is what testdata/<file>.yaml has, by the ID of an alert: series and
// which alerts of the name fire on them at a time, none if not said.
//
// A line of series is a series and its values as promtool has them; a line of
// fires is "{labels} value", where value is what the annotations tell, with
// "Variant " before it if another alert of the name is meant. Labels that each
// of a kind has are left out: cluster="c1" of all, job and metrics_path of
// series, alertname and the labels of the rule of alerts.
type alertCase struct {
	At       string `yaml:"at"`
	Interval string `yaml:"interval"` // of series and evaluation; 1m
	Series   string `yaml:"series"`
	Fires    string `yaml:"fires"`
}

// recordCase is an expression and its samples after a time.
type recordCase struct {
	At       string   `yaml:"at"`
	Interval string   `yaml:"interval"`
	Series   string   `yaml:"series"`
	Samples  []string `yaml:"samples"` // "{labels} value", to six places
}

var promql3 = parser.NewParser(parser.Options{})

// jobs are those of families, by the longest prefix.
var jobs = []struct{ prefix, labels string }{
	{"kube_", "kube-state-metrics"}, {"node_", "node-exporter"}, {"crowsnest_", "crowsnest-agent"}, {"etcd_", "kube-etcd"},
	{"apiserver_", "apiserver"}, {"aggregator_", "apiserver"}, {"coredns_", "kube-dns"}, {"scheduler_", "kube-scheduler"},
	{"kubelet_", "kubelet /metrics"}, {"prober_", "kubelet /metrics/probes"}, {"container_", "kubelet /metrics/cadvisor"},
	{"container_oom_kills", "crowsnest-agent"}, {"container_terminations", "crowsnest-agent"}, {"traces_", "shop"},
}

// completed adds the labels that each series of a family has.
func completed(ls labels.Labels) labels.Labels {
	b := labels.NewBuilder(ls)
	if !ls.Has("cluster") {
		b.Set("cluster", "c1")
	}
	name, job, length := ls.Get(model.MetricNameLabel), "", 0
	for _, j := range jobs {
		if strings.HasPrefix(name, j.prefix) && len(j.prefix) > length {
			job, length = j.labels, len(j.prefix)
		}
	}
	if job != "" && !strings.Contains(name, ":") && !ls.Has("job") {
		job, path, _ := strings.Cut(job, " ")
		b.Set("job", job).Set("metrics_path", path)
	}
	return b.Labels()
}

// series reads lines of series.
func series(t *testing.T, text string) []map[string]string {
	t.Helper()
	var all []map[string]string
	for line := range strings.Lines(text) {
		name, values := cutLabels(t, line)
		if name == "" {
			continue
		}
		ls, err := promql3.ParseMetric(name)
		if err != nil {
			t.Fatalf("parse series %q: %v", line, err)
		}
		all = append(all, map[string]string{"series": completed(ls).String(), "values": values})
	}
	return all
}

// cutLabels splits a line behind its last brace, or at its first space.
func cutLabels(t *testing.T, line string) (left, right string) {
	t.Helper()
	line = strings.TrimSpace(line)
	if i := strings.LastIndex(line, "}"); i >= 0 {
		return line[:i+1], strings.TrimSpace(line[i+1:])
	}
	left, right, _ = strings.Cut(line, " ")
	return left, strings.TrimSpace(right)
}

// firing is an alert that a case expects.
type firing struct {
	alert  Alert
	labels map[string]string
	value  float64
}

func (c alertCase) firings(t *testing.T, own Alert, byID map[string]Alert) []firing {
	t.Helper()
	var all []firing
	for line := range strings.Lines(c.Fires) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		f := firing{alert: own}
		if variant, rest, found := strings.Cut(line, " {"); found && !strings.HasPrefix(line, "{") {
			f.alert, line = byID[own.Name+variant], "{"+rest
			if f.alert.Name == "" {
				t.Fatalf("%s: no variant %q", own.ID(), variant)
			}
		}
		left, value := cutLabels(t, line)
		ls, err := promql3.ParseMetric(left)
		if err != nil {
			t.Fatalf("%s: parse %q: %v", own.ID(), line, err)
		}
		f.labels = ls.Map()
		if !ls.Has("cluster") {
			f.labels["cluster"] = "c1"
		}
		if f.value, err = strconv.ParseFloat(value, 64); err != nil {
			t.Fatalf("%s: %v", own.ID(), err)
		}
		all = append(all, f)
	}
	return all
}

// expected is how promtool wants the firing, texts expanded.
func (f firing) expected(t *testing.T) map[string]any {
	t.Helper()
	r := f.alert.plain("")
	data := template.AlertTemplateData(f.labels, nil, "", promql.Sample{F: f.value})
	annotations := map[string]string{}
	for name, text := range r.Annotations {
		e := template.NewTemplateExpander(context.Background(), `{{$labels := .Labels}}{{$value := .Value}}`+text, name, data, 0, nil, nil, nil)
		expanded, err := e.Expand()
		if err != nil {
			t.Fatalf("%s: expand %s: %v", f.alert.ID(), name, err)
		}
		annotations[name] = expanded
	}
	all := map[string]string{}
	maps.Copy(all, f.labels)
	maps.Copy(all, r.Labels)
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return map[string]any{"exp_labels": all, "exp_annotations": annotations}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// readCases reads testdata/<name>.yaml.
func readCases[C any](t *testing.T, name string) map[string][]C {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]C{}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&cases); err != nil {
		t.Fatalf("decode cases of %s: %v", name, err)
	}
	return cases
}

// promtool makes the file's unit tests. ruleFile is its path from where they are kept.
func promtool(t *testing.T, f File, ruleFiles ...string) []byte {
	t.Helper()
	tests := recordTests
	if len(f.Alerts()) > 0 {
		tests = alertTests
	}
	out := map[string]any{"rule_files": ruleFiles, "evaluation_interval": "1m", "fuzzy_compare": true, "tests": tests(t, f)}
	b, err := marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func alertTests(t *testing.T, f File) []any {
	cases := readCases[alertCase](t, f.Name)
	var tests []any
	for _, a := range f.Alerts() {
		for i, c := range cases[a.ID()] {
			expected := []any{}
			for _, fired := range c.firings(t, a, byID(f)) {
				expected = append(expected, fired.expected(t))
			}
			tests = append(tests, map[string]any{
				"name": fmt.Sprintf("%s %d", a.ID(), i), "interval": or(c.Interval, "1m"), "input_series": series(t, c.Series),
				"alert_rule_test": []any{map[string]any{"alertname": a.Name, "eval_time": c.At, "exp_alerts": expected}},
			})
		}
	}
	return tests
}

func recordTests(t *testing.T, f File) []any {
	cases := readCases[recordCase](t, f.Name)
	var tests []any
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		for _, c := range cases[name] {
			samples := []any{}
			for _, line := range c.Samples {
				left, value := cutLabels(t, line)
				ls, err := promql3.ParseMetric(left)
				if err != nil {
					t.Fatalf("parse %q: %v", line, err)
				}
				number, err := strconv.ParseFloat(value, 64)
				if err != nil {
					t.Fatal(err)
				}
				if !ls.Has("cluster") {
					ls = labels.NewBuilder(ls).Set("cluster", "c1").Labels()
				}
				samples = append(samples, map[string]any{"labels": ls.String(), "value": number})
			}
			tests = append(tests, map[string]any{
				"name": name, "interval": or(c.Interval, "1m"), "input_series": series(t, c.Series),
				"promql_expr_test": []any{map[string]any{"expr": `round({__name__="` + name + `"}, 1e-6)`, "eval_time": c.At, "exp_samples": samples}},
			})
		}
	}
	return tests
}

package rules

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

var update = flag.Bool("update", false, "write the rule files, their unit tests and the chart's files instead of comparing with them")

const chartFiles = "../../deploy/helm/crowsnest/files/rules"

func TestRendersAreCurrent(t *testing.T) {
	written := map[string]bool{}
	check := func(path string, b []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		written[path] = true
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		is, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(is), string(b)); diff != "" {
			t.Errorf("%s is old; go test ./dashboards/rules -run TestRendersAreCurrent -update writes it (-is +should):\n%s", path, diff)
		}
	}
	for _, f := range Files() {
		b, err := f.Plain()
		check(f.Name+".yaml", b, err)
		b, err = f.Chart()
		check(filepath.Join(chartFiles, f.Name+".yaml"), b, err)
		if !f.Loki {
			check(filepath.Join("promtool", f.Name+".yaml"), promtool(t, f, "../"+f.Name+".yaml"), nil)
		}
	}
	for _, pattern := range []string{"*.yaml", "promtool/*.yaml", chartFiles + "/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !written[file] {
				t.Errorf("%s is made from no File", file)
			}
		}
	}
}

// allAlerts are those of all files, in order.
func allAlerts() []Alert {
	var all []Alert
	for _, f := range Files() {
		all = append(all, f.Alerts()...)
	}
	return all
}

func TestRulesAreWellFormed(t *testing.T) {
	ids := map[string]bool{}
	for _, f := range Files() {
		for _, g := range f.Groups {
			for _, r := range g.Records {
				if _, err := promql3.ParseExpr(r.Expr); err != nil {
					t.Errorf("%s: %v\n%s", r.Name, err, r.Expr)
				}
			}
		}
		for _, a := range f.Alerts() {
			if ids[a.ID()] {
				t.Errorf("two alerts have the ID %s", a.ID())
			}
			ids[a.ID()] = true
			checkAlert(t, a, f.Loki)
		}
	}
}

func checkAlert(t *testing.T, a Alert, loki bool) {
	t.Helper()
	for name, value := range a.Params {
		if !strings.Contains(a.Expr, "<"+name+">") {
			t.Errorf("%s: the expression does not use parameter %s", a.ID(), name)
		}
		if value == "" {
			t.Errorf("%s: parameter %s has no default", a.ID(), name)
		}
	}
	if !slices.Contains([]string{critical, warning, info, "none"}, a.Severity) {
		t.Errorf("%s: severity %q", a.ID(), a.Severity)
	}
	if a.For != "" {
		if _, err := model.ParseDuration(a.For); err != nil {
			t.Errorf("%s: for: %v", a.ID(), err)
		}
	}
	r := a.plain("")
	for _, text := range append([]string{r.Expr}, values(r.Annotations)...) {
		if p := placeholder.FindString(text); p != "" {
			t.Errorf("%s: nothing fills %s", a.ID(), p)
		}
	}
	if loki {
		return
	}
	for _, matcher := range []string{"", `,namespace!~"a|b"`} {
		if _, err := promql3.ParseExpr(a.plain(matcher).Expr); err != nil {
			t.Errorf("%s: %v\n%s", a.ID(), err, a.plain(matcher).Expr)
		}
	}
}

func values(m map[string]string) []string {
	var all []string
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// TestNamesOfMixins holds the names to those that the mixins have.
func TestNamesOfMixins(t *testing.T) {
	have := map[string]bool{}
	for _, f := range Files() {
		for _, g := range f.Groups {
			for _, r := range g.Records {
				have[r.Name] = true
			}
			for _, a := range g.Alerts {
				have[a.Name+" "+a.Severity+" "+or(a.For, "0s")] = true
			}
		}
	}
	b, err := os.ReadFile("testdata/mixins.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if lines++; !have[line] {
			t.Errorf("no rule is %q", line)
		}
	}
	if lines < 150 {
		t.Errorf("only %d names in testdata/mixins.txt", lines)
	}
}

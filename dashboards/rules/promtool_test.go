package rules

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

// Of the test store's module, so that it judges as that Prometheus does.
var promtoolProgram = toolchain.Program{
	Name: "promtool", Module: "test/stores/prometheus", Package: "github.com/prometheus/prometheus/cmd/promtool",
	Flags: []string{"-tags", "remove_all_sd,enable_dns_sd", "-ldflags", "-s -w"}, Minutes: 5,
}

func runPromtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := promtoolProgram.Build(context.Background(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	for _, f := range Files() {
		if !f.Loki {
			runPromtool(t, "check", "rules", "--lint=all", "--lint-fatal", f.Name+".yaml")
		}
	}
}

func TestAlertsFireAndKeepStill(t *testing.T) {
	for _, f := range Files() {
		if !f.Loki {
			t.Run(f.Name, func(t *testing.T) {
				t.Parallel()
				runPromtool(t, "test", "rules", "promtool/"+f.Name+".yaml")
			})
		}
	}
}

// TestEveryRuleHasCases wants of each alert a case where it fires and one where
// it does not, though there is data for it, and of each record a sample.
func TestEveryRuleHasCases(t *testing.T) {
	for _, f := range Files() {
		if f.Loki {
			continue
		}
		if len(f.Alerts()) == 0 {
			checkRecordCases(t, f)
			continue
		}
		cases := readCases[alertCase](t, f.Name)
		for id := range cases {
			if byID(f)[id].Name == "" {
				t.Errorf("%s has cases for %s, which is not there", f.Name, id)
			}
		}
		for _, a := range f.Alerts() {
			var fires, still bool
			for _, c := range cases[a.ID()] {
				if strings.TrimSpace(c.Fires) != "" {
					fires = true
				} else if c.Series != "" {
					still = true
				}
			}
			// Watchdog always fires.
			if !fires || !still && a.Name != "Watchdog" {
				t.Errorf("%s: a case where it fires: %t, one where it does not: %t", a.ID(), fires, still)
			}
		}
	}
}

func checkRecordCases(t *testing.T, f File) {
	t.Helper()
	cases := readCases[recordCase](t, f.Name)
	names := map[string]bool{}
	for _, g := range f.Groups {
		for _, r := range g.Records {
			names[r.Name] = true
			samples := 0
			for _, c := range cases[r.Name] {
				samples += len(c.Samples)
			}
			if samples == 0 {
				t.Errorf("%s: no case with samples", r.Name)
			}
		}
	}
	for name := range cases {
		if !names[name] {
			t.Errorf("%s has cases for %s, which is not there", f.Name, name)
		}
	}
}

// TestNamespacesCanBeSetApart renders each alert without the namespaces of its
// cases, when nothing may fire, and for these namespaces only, when nothing may change.
func TestNamespacesCanBeSetApart(t *testing.T) {
	for _, f := range Files() {
		if f.Loki || len(f.Alerts()) == 0 {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			apart, only := File{Name: f.Name}, File{Name: f.Name}
			for _, g := range f.Groups {
				in, out := Group{Name: g.Name}, Group{Name: g.Name}
				for _, a := range g.Alerts {
					checkNamespaced(t, f, a)
					if a.Namespaced() {
						in.Alerts = append(in.Alerts, a)
						out.Alerts = append(out.Alerts, a)
					}
				}
				only.Groups, apart.Groups = append(only.Groups, in), append(apart.Groups, out)
			}
			if len(only.Alerts()) > 0 {
				checkMatcher(t, only, `,namespace=~"shop"`, false)
				checkMatcher(t, apart, `,namespace!~"dev|shop"`, true)
			}
		})
	}
}

// checkNamespaced wants <ns> in every alert that tells of a namespace.
func checkNamespaced(t *testing.T, f File, a Alert) {
	t.Helper()
	for _, c := range readCases[alertCase](t, f.Name)[a.ID()] {
		for _, firing := range c.firings(t, a, byID(f)) {
			switch namespace := firing.labels["namespace"]; {
			case namespace != "" && !a.Namespaced():
				t.Errorf("%s tells of namespace %s and cannot be limited to it", a.ID(), namespace)
			case a.Namespaced() && namespace != "shop":
				t.Errorf("%s: cases are in namespace shop, not %q", a.ID(), namespace)
			}
		}
	}
}

func byID(f File) map[string]Alert {
	all := map[string]Alert{}
	for _, a := range f.Alerts() {
		all[a.ID()] = a
	}
	return all
}

func checkMatcher(t *testing.T, f File, matcher string, silent bool) {
	t.Helper()
	dir := t.TempDir()
	plain, err := f.render(func(a Alert) rule { return a.plain(matcher) })
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("rules.yaml", plain)
	var tests []any
	for _, test := range alertTests(t, f) {
		if silent {
			for _, a := range test.(map[string]any)["alert_rule_test"].([]any) {
				a.(map[string]any)["exp_alerts"] = []any{}
			}
		}
		tests = append(tests, test)
	}
	b, err := marshal(map[string]any{"rule_files": []string{"rules.yaml"}, "evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	write("test.yaml", b)
	runPromtool(t, "test", "rules", filepath.Join(dir, "test.yaml"))
}

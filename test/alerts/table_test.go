//go:build e2e

package alerts

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/crowsnest-o11y/crowsnest/dashboards"
	"github.com/crowsnest-o11y/crowsnest/dashboards/rules"
	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

// coverageFile is where people read what TestCoverage found.
const coverageFile = root + "/docs/coverage.md"

// Of the test store's module, so that it judges as that Prometheus does; the same
// as in the tests of dashboards/rules, so that it is built once.
var promtoolProgram = toolchain.Program{
	Name: "promtool", Module: "test/stores/prometheus", Package: "github.com/prometheus/prometheus/cmd/promtool",
	Flags: []string{"-tags", "remove_all_sd,enable_dns_sd", "-ldflags", "-s -w"}, Minutes: 5,
}

// alertRow is what is known of an alert, of all its variants.
type alertRow struct {
	name, file            string
	data, tested, runbook bool
}

// alertRows asks promtool, and looks for the runbooks that the rules name.
func alertRows(t *testing.T, all []*item) []alertRow {
	t.Helper()
	tested := map[string]bool{}
	runbooks := map[string]bool{}
	for _, f := range rules.Files() {
		fires := passing(t, f)
		for _, a := range f.Alerts() {
			tested[a.ID()] = fires[a.ID()]
		}
		for name, address := range runbookURLs(t, f) {
			err := checkRunbook(address)
			if runbooks[name] = err == nil; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	var rows []alertRow
	for _, i := range all {
		if !i.alert {
			continue
		}
		n := slices.IndexFunc(rows, func(r alertRow) bool { return r.name == i.name })
		if n < 0 {
			n = len(rows)
			rows = append(rows, alertRow{name: i.name, file: i.file, data: true, tested: true, runbook: runbooks[i.name]})
		}
		rows[n].data = rows[n].data && i.data
		rows[n].tested = rows[n].tested && tested[i.rule]
		if !tested[i.rule] {
			t.Errorf("%s: no test in which it fires passes", i.rule)
		}
	}
	return rows
}

// passing are the alerts with a test in which they fire, of a file whose tests all pass.
func passing(t *testing.T, f rules.File) map[string]bool {
	t.Helper()
	fires := map[string]bool{}
	if f.Loki {
		// promtool knows no LogQL: these are fired by a real Loki.
		out, err := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run=^TestLokiEvaluatesItsAlerts$", root+"/dashboards/rules").CombinedOutput()
		if err != nil {
			t.Errorf("alerts of Loki's ruler: %v\n%s", err, out)
			return fires
		}
		for _, a := range f.Alerts() {
			fires[a.ID()] = true
		}
		return fires
	}
	promtool, err := promtoolProgram.Build(context.Background(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "dashboards/rules/promtool", f.Name+".yaml")
	if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules %s: %v\n%s", file, err, out)
		return fires
	}
	for _, c := range readRuleTests(t, f.Name) {
		if len(c.AlertRuleTest) > 0 && len(c.AlertRuleTest[0].ExpAlerts) > 0 {
			id, _, _ := strings.Cut(c.Name, " ")
			fires[id] = true
		}
	}
	return fires
}

// runbookURLs are the links as they are in the rule file, by alert.
func runbookURLs(t *testing.T, f rules.File) map[string]string {
	t.Helper()
	text, err := f.Plain()
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	urls := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				urls[r.Alert] = r.Annotations["runbook_url"]
			}
		}
	}
	return urls
}

// share counts items.
type share struct{ all, data, lacking, proved int }

func shareOf(all []*item, is func(*item) bool) share {
	var s share
	for _, i := range all {
		if !is(i) {
			continue
		}
		s.all++
		switch {
		case i.data:
			s.data++
		case i.lack != "":
			s.lacking++
		}
		if i.proved {
			s.proved++
		}
	}
	return s
}

func (s share) String() string {
	return fmt.Sprintf("%d | %d | %d | %s | %d of %d", s.all, s.data, s.lacking, percent(s.data, s.all-s.lacking), s.proved, s.lacking)
}

func percent(part, all int) string {
	if all == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(all))
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// newTable is the text of docs/coverage.md.
func newTable(t *testing.T, all []*item) string {
	t.Helper()
	rows := alertRows(t, all)
	var b strings.Builder
	b.WriteString(`# What dashboards and rules return on a real cluster

Made by ` + "`go test -tags e2e ./test/alerts -run TestCoverage -update`" + `, which installs the
chart with its quickstart on a Kubernetes of two nodes, runs the pods of
test/workload, sound and unsound, and asks the stores. A query of a panel or annotation counts if it
returned data as it is; a rule if it could return data, its condition aside
(` + "`crowsnest-aggregator check-rules`" + `). What the cluster has nothing for is listed
with the reason, and was run on a real Prometheus or Loki with series made for it.

| | all | return data | not applicable here | of those applicable | return data from made series |
|---|---|---|---|---|---|
`)
	fmt.Fprintf(&b, "| Queries of panels | %s |\n", shareOf(all, func(i *item) bool { return i.panel && !i.annotation }))
	fmt.Fprintf(&b, "| Queries of annotations | %s |\n", shareOf(all, func(i *item) bool { return i.annotation }))
	fmt.Fprintf(&b, "| Recording rules | %s |\n", shareOf(all, func(i *item) bool { return !i.panel && !i.alert }))
	fmt.Fprintf(&b, "| Alerting rules | %s |\n\n", shareOf(all, func(i *item) bool { return i.alert }))
	tested, linked := 0, 0
	for _, r := range rows {
		if r.tested {
			tested++
		}
		if r.runbook {
			linked++
		}
	}
	fmt.Fprintf(&b, "Of %d alerts, %s have a test in which they fire and that passes, and the runbook links of %s lead to a page.\n",
		len(rows), percent(tested, len(rows)), percent(linked, len(rows)))
	b.WriteString("\n## Dashboards\n\n| Dashboard | panels | queries | return data |\n|---|---|---|---|\n")
	for _, d := range dashboards.All() {
		s := shareOf(all, func(i *item) bool { return i.panel && !i.annotation && i.file == d.UID })
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", d.Title, len(d.Panels()), s.all, s.data)
	}
	b.WriteString("\n## Alerts\n\n| Alert | rules | can return data here | fires in its test | runbook |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.name, r.file, yes(r.data), yes(r.tested), yes(r.runbook))
	}
	b.WriteString("\n## Not applicable here\n\n| Where | Query | This cluster lacks | Returns data from made series |\n|---|---|---|---|\n")
	for _, i := range all {
		if !i.data {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", i.file, strings.ReplaceAll(i.name, "|", `\|`), i.lack, yes(i.proved))
		}
	}
	return b.String()
}

// names are what does not depend on the machine: the first cell of each row of the
// dashboards and alerts.
func names(text string) []string {
	var found []string
	section := ""
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(heading)
		}
		if (section == "Dashboards" || section == "Alerts") && strings.HasPrefix(line, "| ") {
			found = append(found, strings.TrimSpace(strings.Split(line, "|")[1]))
		}
	}
	return found
}

// checkTable compares with what is in the tree, or writes it.
func checkTable(t *testing.T, made string) {
	t.Helper()
	if *update {
		if t.Failed() {
			t.Error("docs/coverage.md is left as it was")
			return
		}
		if err := os.WriteFile(coverageFile, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	is, err := os.ReadFile(coverageFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names(string(is)), names(made)); diff != "" {
		t.Errorf("docs/coverage.md tells of other dashboards and alerts (-is +should); run the test with -update:\n%s", diff)
	}
	head, _, _ := strings.Cut(made, "\n## ")
	t.Logf("today's figures:\n%s", head)
}

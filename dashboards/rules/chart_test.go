package rules

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

// As test/chart has it, so that it is built once.
var helmProgram = toolchain.Program{
	Name: "helm", Module: "test/cluster/kubernetes", Package: "helm.sh/helm/v4/cmd/helm",
	Flags: []string{"-ldflags", "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1"}, Minutes: 3,
}

func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// helmRules fills the files with values and returns the groups by file.
func helmRules(t *testing.T, values string) (files map[string]ruleFile, stderr string, err error) {
	t.Helper()
	helm, err := helmProgram.Build(context.Background(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	chart := t.TempDir()
	if err := errors.Join(os.CopyFS(chart, os.DirFS("testdata/chart")),
		copyFile(filepath.Join(chart, "templates/_rules.tpl"), filepath.Join(chartFiles, "../../templates/monitoring/_rules.tpl")),
		os.CopyFS(filepath.Join(chart, "files/rules"), os.DirFS(chartFiles))); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), helm, "template", "r", chart, "--values", "-")
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+home+"/none")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(values), &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, errs.String(), err
	}
	files = map[string]ruleFile{}
	for dec := yaml.NewDecoder(&out); ; {
		var o struct {
			Metadata struct{ Name string }
			Spec     ruleFile
		}
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return files, "", nil
		} else if err != nil {
			t.Fatalf("decode render: %v", err)
		}
		files[o.Metadata.Name] = o.Spec
	}
}

func TestChartsDefaultsAreThePlainFiles(t *testing.T) {
	rendered, stderr, err := helmRules(t, "")
	if err != nil {
		t.Fatal(err, stderr)
	}
	for _, f := range Files() {
		b, err := f.Plain()
		if err != nil {
			t.Fatal(err)
		}
		var plain ruleFile
		if err := yaml.Unmarshal(b, &plain); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain, rendered[f.Name]); diff != "" {
			t.Errorf("%s: by Helm (+) it is another than by Go (-):\n%s", f.Name, diff)
		}
	}
	if len(rendered) != len(Files()) {
		t.Errorf("Helm renders %d files of %d", len(rendered), len(Files()))
	}
}

// rulesOf are the alert's rules of a file.
func rulesOf(f ruleFile, alert string) []rule {
	var all []rule
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert == alert {
				all = append(all, r)
			}
		}
	}
	return all
}

func TestChartsValuesChangeAlerts(t *testing.T) {
	rendered, stderr, err := helmRules(t, `
prometheusRule:
  runbooks: https://wiki.example.org
  dashboards: https://grafana.example.org
  excludeNamespaces: [sandbox]
  excludeGroups: [node-exporter]
  alerts:
    KubeContainerMemoryNearLimit:
      severity: warning
      for: 5m
      labels: {team: platform}
      parameters: {ratio: 0.8}
      namespaces:
        - {match: "batch-.*", parameters: {ratio: 0.99}, for: 1h}
        - {match: "dev|batch-x", enabled: false}
    KubePodCrashLooping: {for: ""}
    KubePersistentVolumeFillingUp: {parameters: {ratio: 0.2}}
    KubePersistentVolumeFillingUpCritical: {parameters: {ratio: 0.1}}
    Watchdog: {enabled: false}
    KubeAPIErrorBudgetBurn3d6h: {enabled: false}
    LogErrorSpike: {namespaces: [{match: noisy, parameters: {minimum: 1000}}]}
`)
	if err != nil {
		t.Fatal(err, stderr)
	}
	near := rulesOf(rendered["workloads"], "KubeContainerMemoryNearLimit")
	if len(near) != 2 {
		t.Fatalf("%d rules, want one for batch and one for the rest", len(near))
	}
	contains := func(r rule, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(r.Expr, text) {
				t.Errorf("%s lacks %s:\n%s", r.Alert, text, r.Expr)
			}
		}
	}
	contains(near[0], `,namespace=~"batch-.*",namespace!~"sandbox"}`, "> 0.99")
	contains(near[1], `,namespace!~"sandbox|batch-.*|dev|batch-x"}`, "> 0.8")
	if near[0].For != "1h" || near[1].For != "5m" || near[1].Labels["severity"] != "warning" || near[0].Labels["team"] != "platform" {
		t.Errorf("for and labels: %+v", near)
	}
	for name, want := range map[string]string{
		"runbook_url":   "https://wiki.example.org/KubeContainerMemoryNearLimit.md",
		"dashboard_url": "https://grafana.example.org/d/crowsnest-pod?var-cluster={{ $labels.cluster }}&var-namespace={{ $labels.namespace }}&var-pod={{ $labels.pod }}",
	} {
		if near[1].Annotations[name] != want {
			t.Errorf("%s is %s, want %s", name, near[1].Annotations[name], want)
		}
	}
	if r := rulesOf(rendered["workloads"], "KubePodCrashLooping"); r[0].For != "" {
		t.Errorf("an empty for gives %q", r[0].For)
	}
	volumes := rulesOf(rendered["storage"], "KubePersistentVolumeFillingUp")
	contains(volumes[0], "< 0.1\n")
	contains(volumes[1], "< 0.2\n")
	if len(rulesOf(rendered["general"], "Watchdog")) != 0 || len(rulesOf(rendered["control-plane"], "KubeAPIErrorBudgetBurn")) != 3 {
		t.Error("alerts that are not enabled are there")
	}
	if spikes := rulesOf(rendered["logs"], "LogErrorSpike"); len(spikes) != 2 || !strings.Contains(spikes[0].Expr, "> 1000") {
		t.Errorf("LogErrorSpike: %+v", spikes)
	}
	for _, g := range rendered["nodes"].Groups {
		if g.Name == "node-exporter" {
			t.Error("a group that is excluded is there")
		}
	}
	checkRendered(t, rendered)
}

// checkRendered has promtool read what Helm made.
func checkRendered(t *testing.T, rendered map[string]ruleFile) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range Files() {
		if f.Loki {
			continue
		}
		b, err := marshal(rendered[f.Name])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name+".yaml"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		runPromtool(t, "check", "rules", filepath.Join(dir, f.Name+".yaml"))
	}
}

func TestChartRefusesWhatIsNotThere(t *testing.T) {
	for values, want := range map[string]string{
		`{prometheusRule: {alerts: {KubePodCrashLoop: {}}}}`:                                    "there is no alert KubePodCrashLoop",
		`{prometheusRule: {alerts: {CPUThrottlingHigh: {parameters: {threshold: 1}}}}}`:         "CPUThrottlingHigh.parameters: there is no threshold",
		`{prometheusRule: {alerts: {KubeSchedulerDown: {namespaces: [{match: kube-system}]}}}}`: "KubeSchedulerDown: this alert has no namespaces",
	} {
		if _, stderr, err := helmRules(t, values); err == nil || !strings.Contains(stderr, want) {
			t.Errorf("%s: %v: %q, want %q", values, err, stderr, want)
		}
	}
}

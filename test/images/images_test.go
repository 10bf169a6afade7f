package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is inside must be what the name says.
func TestStoresAreOfTheVersionsThatTheChartAsksFor(t *testing.T) {
	names, err := chartImages("../../deploy/helm/crowsnest/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for store, module := range map[string]string{
		"prometheus": "github.com/prometheus/prometheus",
		"loki":       "github.com/grafana/loki/v3",
		"jaeger":     "github.com/jaegertracing/jaeger",
	} {
		built := moduleVersion(t, filepath.Join("../stores", store), module)
		if store == "prometheus" { // v0.315.0 is Prometheus 3.15.0
			built = strings.Replace(built, "v0.3", "v3.", 1)
		}
		_, tag, _ := strings.Cut(names[store], ":")
		if strings.TrimPrefix(tag, "v") != strings.TrimPrefix(built, "v") {
			t.Errorf("chart asks for %s; test/stores builds %s %s", names[store], module, built)
		}
	}
}

func moduleVersion(t *testing.T, dir, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", module)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("version of %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}

func TestChartWithoutImageIsNamed(t *testing.T) {
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte("quickstart: {prometheus: {image: {registry: r, repository: p, tag: t}}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := chartImages(values); err == nil || !strings.Contains(err.Error(), "quickstart.") {
		t.Errorf("error is %v; want one that names the missing value", err)
	}
}

package chart

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write deploy/helm/golden and the chart's README instead of comparing with them")

// certificates, and a token, are what differs between two renders without a cluster.
var certificates = regexp.MustCompile(`(?m)^(  (?:ca\.crt|tls\.crt|tls\.key|token|  crowsnest\.io/certificate-expires): ).*$`)

func mask(manifests string) string {
	return certificates.ReplaceAllString(manifests, "${1}<generated>")
}

// fromFiles are objects whose content is files/ of the chart, which is rendered
// by packages of its own and tested there.
var fromFiles = regexp.MustCompile(`(?m)^(kind: PrometheusRule|  name: \S+-(?:dashboard-\S+|prometheus-rules|logs))$`)

// brief leaves that content out of the golden files.
func brief(manifests string) string {
	const separator = "\n---\n"
	documents := strings.Split(manifests, separator)
	for i, d := range documents {
		if fromFiles.MatchString(d) {
			head, _, _ := strings.Cut(d, "\ndata:\n")
			head, _, _ = strings.Cut(head, "\nspec:\n")
			documents[i] = head + "\n# content from files/"
		}
	}
	return strings.Join(documents, separator)
}

func TestLint(t *testing.T) {
	for _, name := range scenarios(t) {
		stdout, stderr, err := output(t, helmProgram, nil, "lint", "--strict", chartDir, "--values", valuesFile(name))
		if err != nil {
			t.Errorf("helm lint --strict with %s: %v\n%s%s", name, err, stdout, stderr)
		}
	}
}

func TestRendersAreGolden(t *testing.T) {
	for _, name := range scenarios(t) {
		golden := filepath.Join(chartDir, "../golden", name+".yaml")
		got := brief(mask(render(t, name)))
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Errorf("%v (make it with -update)", err)
			continue
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s differs; accept it with -update (-golden +render):\n%s", golden, diff)
		}
	}
}

// Argo CD renders again and again and compares.
func TestOnlyCertificatesDifferBetweenRenders(t *testing.T) {
	for _, name := range scenarios(t) {
		again := mustTemplate(t, "--values", valuesFile(name))
		if diff := cmp.Diff(mask(render(t, name)), mask(again)); diff != "" {
			t.Errorf("two renders with %s differ:\n%s", name, diff)
		}
	}
	for _, name := range []string{"certmanager", "existing-secret"} {
		if diff := cmp.Diff(render(t, name), mustTemplate(t, "--values", valuesFile(name))); diff != "" {
			t.Errorf("two renders with %s differ, where no certificate is generated:\n%s", name, diff)
		}
	}
}

func TestPackageHasWhatAUserNeedsAndNoMore(t *testing.T) {
	dir := t.TempDir()
	if stdout, stderr, err := output(t, helmProgram, nil, "package", chartDir, "--destination", dir); err != nil {
		t.Fatalf("helm package: %v\n%s%s", err, stdout, stderr)
	}
	archives, _ := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if len(archives) != 1 {
		t.Fatalf("helm package made %v", archives)
	}
	manifests, stderr, err := output(t, helmProgram, nil, "template", "crowsnest", archives[0], "--namespace", "monitoring",
		"--values", valuesFile("quickstart"))
	if err != nil {
		t.Fatalf("render the package: %v\n%s", err, stderr)
	}
	if diff := cmp.Diff(mask(render(t, "quickstart")), mask(manifests)); diff != "" {
		t.Errorf("the package renders otherwise than the folder:\n%s", diff)
	}
	readme, stderr, err := output(t, helmProgram, nil, "show", "readme", archives[0])
	if err != nil || !strings.Contains(readme, "# crowsnest") {
		t.Errorf("the package has no README: %v %s", err, stderr)
	}
}

package crowsnest

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/crowsnest-o11y/crowsnest/"

type listedPackage struct {
	ImportPath string
	Name       string
	Doc        string
	Imports    []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Name,Doc,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listedPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p listedPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatalf("decode go list: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages: the checks below would check nothing", len(packages))
	}
	return packages
}

// mayImport says which layers a layer may import. A layer is the part of the
// tree that a package belongs to; "self" means packages below its own folder.
var mayImport = map[string][]string{
	"cmd":        {"program"},
	"program":    {"pipeline", "receivers", "exporters", "component", "dashboards", "kubemeta", "ledger"}, // pipeline/agent, pipeline/aggregator
	"pipeline":   {"ledger"},
	"receivers":  {"kubemeta", "kubeapi", "ledger", "complaint", "cadence", "criapi", "exposition", "extensions"},
	"exporters":  {"kubemeta", "ledger", "complaint"},
	"component":  {"kubemeta", "kubeapi", "ledger", "complaint", "extensions"}, // pipeline/<noun>
	"kubemeta":   {"kubeapi", "complaint"},
	"kubeapi":    {},
	"ledger":     {},
	"complaint":  {},
	"cadence":    {},
	"criapi":     {},
	"exposition": {}, // of pdata
	"extensions": {},
	"dashboards": {},
	"deploy":     {}, // builds the programs, links nothing of them
}

func layer(importPath string) string {
	rel := strings.TrimPrefix(importPath, module)
	first, rest, nested := strings.Cut(rel, "/")
	switch {
	case rel == "pipeline/agent" || rel == "pipeline/aggregator":
		return "program"
	case first == "pipeline" && nested && rest != "":
		return "component"
	}
	return first
}

// component is the folder whose packages may import each other: receivers/x,
// exporters/x, pipeline/x, else the top folder.
func component(importPath string) string {
	parts := strings.Split(strings.TrimPrefix(importPath, module), "/")
	return path.Join(parts[:min(2, len(parts))]...)
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range listPackages(t) {
		from := layer(p.ImportPath)
		if from == "test" || from == "bench" || !strings.HasPrefix(p.ImportPath, module) {
			continue
		}
		allowed, known := mayImport[from]
		if !known {
			t.Errorf("%s: the layout knows no folder %q", p.ImportPath, from)
			continue
		}
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, module) || component(imported) == component(p.ImportPath) {
				continue
			}
			if !slices.Contains(allowed, layer(imported)) {
				t.Errorf("%s imports %s: %s may import only %v", p.ImportPath, imported, from, allowed)
			}
		}
	}
}

func TestLowestLayersAreFreeOfTheCollector(t *testing.T) {
	for _, p := range listPackages(t) {
		if !slices.Contains([]string{"kubemeta", "kubeapi", "ledger", "complaint", "cadence", "criapi"}, layer(p.ImportPath)) {
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "go.opentelemetry.io/collector/") {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	banned := []string{"util", "utils", "common", "helper", "helpers", "misc", "types"}
	for _, p := range listPackages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		if slices.Contains(banned, path.Base(p.ImportPath)) {
			t.Errorf("%s: %q says nothing about what is inside", p.ImportPath, path.Base(p.ImportPath))
		}
	}
}

// Tests that skip themselves look like tests that pass.
func TestNoTestSkipsItself(t *testing.T) {
	skip := regexp.MustCompile(`\b[tb]\.Skip(f|Now)?\(`)
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, "_test.go") || file == "repo_test.go" {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if at := skip.FindIndex(text); at != nil {
			t.Errorf("%s:%d skips itself", file, 1+strings.Count(string(text[:at[0]]), "\n"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

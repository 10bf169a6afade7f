package chart

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// moduleDir is where the go command keeps a module that a go.mod below test/
// pins; it is downloaded if it is not there.
func moduleDir(t *testing.T, goMod, module string) string {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), "go", "mod", "download", "-json", module)
	cmd.Dir = filepath.Join(root, goMod)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("download module %s: %v\n%s", module, err, out)
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("decode answer of go mod download %s: %v", module, err)
	}
	return answer.Dir
}

// schemaFile is the name that kubeconform looks for, see -schema-location below;
// it takes "v1" for the core's group, too.
func schemaFile(apiVersion, kind string) string {
	group, version, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		version = group
	}
	return strings.ToLower(kind) + "-" + group + "-" + version + ".json"
}

// schemas collects the JSON schemas that objects are checked against.
type schemas map[string]any

// addKubernetes takes the OpenAPI document that the API server serves.
func (s schemas) addKubernetes(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatalf("decode %s: %v", file, err)
	}
	for name, definition := range document.Definitions {
		tighten(definition)
		switch {
		case strings.HasSuffix(name, ".util.intstr.IntOrString"):
			definition["type"] = []string{"integer", "string"}
			delete(definition, "format")
		case strings.HasSuffix(name, ".api.resource.Quantity"):
			definition["type"] = []string{"string", "number"}
		}
	}
	for _, definition := range document.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 {
			continue // options of requests, which are of every group
		}
		version, kind := fmt.Sprint(at(kinds, 0, "version")), fmt.Sprint(at(kinds, 0, "kind"))
		if group := fmt.Sprint(at(kinds, 0, "group")); group != "" {
			version = group + "/" + version
		}
		whole := maps.Clone(definition)
		whole["definitions"] = document.Definitions
		s[schemaFile(version, kind)] = whole
	}
}

// addCustom takes the schemas out of CustomResourceDefinitions.
func (s schemas) addCustom(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no CustomResourceDefinitions at %s: %v", pattern, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var definition map[string]any
		if err := yaml.Unmarshal(text, &definition); err != nil {
			t.Fatalf("decode %s: %v", file, err)
		}
		group, kind := fmt.Sprint(at(definition, "spec", "group")), fmt.Sprint(at(definition, "spec", "names", "kind"))
		versions, _ := at(definition, "spec", "versions").([]any)
		for _, version := range versions {
			schema, ok := at(version, "schema", "openAPIV3Schema").(map[string]any)
			if !ok {
				t.Fatalf("%s: no schema for version %v", file, at(version, "name"))
			}
			tighten(schema)
			s[schemaFile(group+"/"+fmt.Sprint(at(version, "name")), kind)] = schema
		}
	}
}

// tighten refuses keys that a schema does not know, as the API server does in
// strict validation.
func tighten(node any) {
	switch n := node.(type) {
	case map[string]any:
		_, properties := n["properties"].(map[string]any)
		_, open := n["additionalProperties"]
		if properties && !open && n["x-kubernetes-preserve-unknown-fields"] != true {
			n["additionalProperties"] = false
		}
		for _, child := range n {
			tighten(child)
		}
	case []any:
		for _, child := range n {
			tighten(child)
		}
	}
}

func (s schemas) write(t *testing.T, used map[string]bool) string {
	t.Helper()
	dir := t.TempDir()
	for file := range used {
		schema, known := s[file]
		if !known {
			t.Fatalf("no schema %s: a kind of an API that is not among the pinned modules", file)
		}
		text, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// writeSchemas makes a folder with the schemas of all kinds in the renders.
func writeSchemas(t *testing.T) string {
	t.Helper()
	s := schemas{}
	s.addKubernetes(t, filepath.Join(moduleDir(t, "test/cluster/kubernetes", "k8s.io/kubernetes"), "api/openapi-spec/swagger.json"))
	s.addCustom(t, filepath.Join(moduleDir(t, "test/chart/crds", "github.com/prometheus-operator/prometheus-operator"),
		"example/prometheus-operator-crd/*.yaml"))
	s.addCustom(t, filepath.Join(moduleDir(t, "test/chart/crds", "github.com/cert-manager/cert-manager"), "deploy/crds/cert-manager.io_*.yaml"))
	used := map[string]bool{}
	for _, name := range scenarios(t) {
		for _, o := range decode(t, render(t, name)) {
			used[schemaFile(fmt.Sprint(o["apiVersion"]), o.kind())] = true
		}
	}
	return s.write(t, used)
}

func kubeconform(t *testing.T, schemas, manifests string) (report string, err error) {
	t.Helper()
	stdout, stderr, err := output(t, kubeconformProgram, strings.NewReader(manifests), "-strict", "-summary",
		"-schema-location", schemas+"/{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json")
	return stdout + stderr, err
}

func TestObjectsFitTheirSchemas(t *testing.T) {
	dir := writeSchemas(t)
	for _, name := range scenarios(t) {
		report, err := kubeconform(t, dir, render(t, name))
		if err != nil || !strings.Contains(report, "Skipped: 0") {
			t.Errorf("kubeconform with %s: %v\n%s", name, err, report)
		}
	}
	// What would a mistake look like?
	broken := strings.Replace(render(t, "default"), "terminationGracePeriodSeconds:", "terminationGraceSeconds:", 1)
	if report, err := kubeconform(t, dir, broken); err == nil || !strings.Contains(report, "terminationGraceSeconds") {
		t.Errorf("a mistyped field passes kubeconform: %v\n%s", err, report)
	}
}

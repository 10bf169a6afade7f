package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

const (
	root     = "../.."
	chartDir = root + "/deploy/helm/crowsnest"
)

// Of the same module and flags as the cluster's, so that it is built once.
var (
	helmProgram = toolchain.Program{
		Name: "helm", Module: "test/cluster/kubernetes", Package: "helm.sh/helm/v4/cmd/helm",
		Flags: []string{"-ldflags", "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1"}, Minutes: 3,
	}
	kubeconformProgram = toolchain.Program{
		Name: "kubeconform", Module: "test/chart/tools", Package: "github.com/yannh/kubeconform/cmd/kubeconform",
		Flags: []string{"-ldflags", "-s -w"}, Minutes: 1,
	}
	helmDocsProgram = toolchain.Program{
		Name: "helm-docs", Module: "test/chart/tools", Package: "github.com/norwoodj/helm-docs/cmd/helm-docs",
		Flags: []string{"-ldflags", "-s -w"}, Minutes: 1,
	}
)

// output runs a program of the toolchain and returns what it says.
func output(t *testing.T, p toolchain.Program, stdin io.Reader, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path, err := p.Build(context.Background(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	// Nothing of the user's Helm: no plugins, no repositories, no cluster.
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home,
		"KUBECONFIG="+filepath.Join(home, "none"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), err
}

// template renders the chart as a release crowsnest in namespace monitoring.
func template(t *testing.T, args ...string) (manifests, stderr string, err error) {
	t.Helper()
	return output(t, helmProgram, nil, append([]string{"template", "crowsnest", chartDir, "--namespace", "monitoring"}, args...)...)
}

func mustTemplate(t *testing.T, args ...string) string {
	t.Helper()
	manifests, stderr, err := template(t, args...)
	if err != nil {
		t.Fatalf("helm template %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return manifests
}

// renders holds the render of each file of ci, made once.
var renders sync.Map

func render(t *testing.T, name string) string {
	t.Helper()
	made, _ := renders.LoadOrStore(name, sync.OnceValue(func() string {
		return mustTemplate(t, "--values", valuesFile(name))
	}))
	return made.(func() string)()
}

func valuesFile(name string) string { return filepath.Join(chartDir, "ci", name+"-values.yaml") }

// scenarios are the names of the files in ci.
func scenarios(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartDir, "ci", "*-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 5 {
		t.Fatalf("found %d values files in ci: the tests would test little", len(files))
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(filepath.Base(file), "-values.yaml")
	}
	return names
}

// object is a Kubernetes object as YAML has it.
type object map[string]any

func (o object) kind() string { return fmt.Sprint(o["kind"]) }

func (o object) name() string {
	name, _ := at(o, "metadata", "name").(string)
	return name
}

// at follows the keys (strings) and indexes (ints) of a path; nil if there is nothing.
func at(v any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			switch m := v.(type) {
			case object:
				v = m[key]
			case map[string]any:
				v = m[key]
			default:
				return nil
			}
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

func decode(t *testing.T, manifests string) []object {
	t.Helper()
	var objects []object
	for dec := yaml.NewDecoder(strings.NewReader(manifests)); ; {
		var o object
		switch err := dec.Decode(&o); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("decode render: %v", err)
		case o != nil:
			objects = append(objects, o)
		}
	}
}

func find(t *testing.T, objects []object, kind, name string) object {
	t.Helper()
	for _, o := range objects {
		if o.kind() == kind && o.name() == name {
			return o
		}
	}
	t.Fatalf("no %s %s in the render", kind, name)
	return nil
}

package kubestate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	apidiscovery "k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

// oracle is kube-state-metrics itself, against which our series are compared.
var oracle = toolchain.Program{
	Name: "kube-state-metrics", Module: "test/kubestatemetrics", Package: "k8s.io/kube-state-metrics/v2",
	Flags: []string{"-ldflags", "-s -w"}, Minutes: 2,
}

// onlyOurs are series that a later release has.
func onlyOurs(series string) bool {
	return strings.HasPrefix(series, "kube_pod_status_reason{") && strings.Contains(series, `reason="SchedulingGated"`)
}

// TestEqualsKubeStateMetrics makes objects of every kind (testdata/objects) and
// compares names, labels, values, help texts and types of all series with those of
// kube-state-metrics, watching the same API server.
func TestEqualsKubeStateMetrics(t *testing.T) {
	server := apiserver.Test(t)
	apply(t, server, "testdata/objects")
	var resources []string
	for _, k := range append(builtin(), pods()) {
		if !k.optional { // it knows custom resources only by its configuration
			resources = append(resources, k.resource)
		}
	}
	url := startOracle(t, server, resources)
	everything := map[string]any{}
	for _, resource := range resources {
		everything[resource] = []any{"*"}
	}
	rig := start(t, server, server.Config(), map[string]any{
		"scope": "all", "collection_interval": "200ms", "resources": toAny(resources),
		"metric_labels_allowlist": everything, "metric_annotations_allowlist": everything,
	})
	var diff string
	poll(t, "equal series", func() (bool, string) {
		want := oracleSeries(t, url)
		got := rig.latest()
		maps.DeleteFunc(got, func(s string, _ sample) bool {
			return !strings.HasPrefix(s, "kube_") || strings.HasPrefix(s, "kube_state_metrics_") || onlyOurs(s)
		})
		diff = cmp.Diff(want, got)
		return len(want) > 0 && diff == "", "- kube-state-metrics + ours\n" + diff
	})
}

func toAny(texts []string) (all []any) {
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}

// poll asks until it is so, for a minute at most; the test fails with what the
// last answer told.
func poll(t testing.TB, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		done, told := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s\n%s", what, told)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// startOracle runs kube-state-metrics and returns the URL of its page.
func startOracle(t *testing.T, server *apiserver.Server, resources []string) string {
	t.Helper()
	path, err := oracle.Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := server.Kubeconfig(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	ports := [2]int{}
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		defer l.Close()
	}
	allow := strings.Join(resources, "=[*],") + "=[*]"
	log := &bytes.Buffer{}
	cmd := exec.Command(path, "--kubeconfig", kubeconfig, "--host", "127.0.0.1", "--telemetry-host", "127.0.0.1",
		"--port", fmt.Sprint(ports[0]), "--telemetry-port", fmt.Sprint(ports[1]), "--resources", strings.Join(resources, ","),
		"--metric-labels-allowlist", allow, "--metric-annotations-allowlist", allow)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = time.Second
	t.Cleanup(func() {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if t.Failed() {
			t.Logf("kube-state-metrics: %s", log)
		}
	})
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[0])
}

// sample is a series' value and what is told of its family.
type sample struct {
	Value      float64
	Help, Type string
}

// oracleSeries reads the page; an oracle that does not answer yet has none.
func oracleSeries(t *testing.T, url string) map[string]sample {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]sample{}
	for name, f := range families {
		for _, m := range f.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			value := m.GetGauge().GetValue() + m.GetUntyped().GetValue() + m.GetCounter().GetValue()
			all[seriesName(name, labels)] = sample{value, f.GetHelp(), typeName(f.GetType())}
		}
	}
	return all
}

func typeName(t dto.MetricType) string { return strings.ToLower(t.String()) }

func seriesName(name string, labels map[string]string) string {
	var b strings.Builder
	b.WriteString(name + "{")
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if labels[label] != "" {
			fmt.Fprintf(&b, "%s=%q,", label, labels[label])
		}
	}
	return b.String() + "}"
}

// apply makes the objects of a folder's YAML files, with their status.
func apply(t testing.TB, server *apiserver.Server, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dec := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
		for {
			o := &unstructured.Unstructured{}
			if err := dec.Decode(&o.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if o.Object != nil {
				create(t, server.Config(), file, o)
			}
		}
	}
}

func create(t testing.TB, config *rest.Config, file string, o *unstructured.Unstructured) {
	t.Helper()
	client := resourceOfObject(t, config, o)
	made, err := client.Create(t.Context(), o, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("%s: create %s: %v", file, o.GetName(), err)
	}
	if status, ok := o.Object["status"]; ok {
		made.Object["status"] = runtime.DeepCopyJSONValue(status)
		if _, err := client.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
			t.Fatalf("%s: update status of %s: %v", file, o.GetName(), err)
		}
	}
}

// resourceOfObject finds where the API server has objects of the kind.
func resourceOfObject(t testing.TB, config *rest.Config, o *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	finder, err := apidiscovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(finder)
	if err != nil {
		t.Fatal(err)
	}
	kind := o.GroupVersionKind()
	mapping, err := restmapper.NewDiscoveryRESTMapper(groups).RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if mapping.Scope.Name() == apimeta.RESTScopeNameRoot {
		return client.Resource(mapping.Resource)
	}
	namespace := o.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return client.Resource(mapping.Resource).Namespace(namespace)
}

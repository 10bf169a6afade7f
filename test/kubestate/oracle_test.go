//go:build e2e

package kubestate

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
	"github.com/crowsnest-o11y/crowsnest/test/process"
	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

var oracleProgram = toolchain.Program{
	Name: "kube-state-metrics", Module: "test/kubestatemetrics", Package: "k8s.io/kube-state-metrics/v2",
	Flags: []string{"-ldflags", "-s -w"}, Minutes: 2,
}

// oracle is a kube-state-metrics that runs.
type oracle struct {
	url    string
	custom bool // it looks for custom resources, after all others
}

// startOracle runs it until the test ends.
func startOracle(t *testing.T, server *apiserver.Server, args ...string) *oracle {
	t.Helper()
	path, err := oracleProgram.Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := server.Kubeconfig(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	ports, err := process.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{url: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), custom: len(args) > 0}
	p, err := process.Start(t.Context(), process.Options{
		Name: "kube-state-metrics", Path: path, LogPath: filepath.Join(t.TempDir(), "kube-state-metrics.log"),
		Args: append([]string{"--kubeconfig=" + kubeconfig, "--host=127.0.0.1", "--telemetry-host=127.0.0.1",
			fmt.Sprintf("--port=%d", ports[0]), fmt.Sprintf("--telemetry-port=%d", ports[1])}, args...),
		Ready: func(ctx context.Context) error { return ask(ctx, o.url+"/livez") },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the log of kube-state-metrics:\n%s", p.LogTail())
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// resources are all that kube-state-metrics knows.
var resources = []string{"certificatesigningrequests", "clusterrolebindings", "clusterroles", "configmaps", "cronjobs",
	"daemonsets", "deployments", "endpoints", "endpointslices", "horizontalpodautoscalers", "ingressclasses", "ingresses",
	"jobs", "leases", "limitranges", "mutatingwebhookconfigurations", "namespaces", "networkpolicies", "nodes",
	"persistentvolumeclaims", "persistentvolumes", "poddisruptionbudgets", "pods", "replicasets", "replicationcontrollers",
	"resourcequotas", "rolebindings", "roles", "secrets", "serviceaccounts", "services", "statefulsets", "storageclasses",
	"validatingwebhookconfigurations", "volumeattachments"}

// complete tells whether a page has at least the kinds that come last.
func (o *oracle) complete(p page) bool {
	return told(p, "kube_pod_") && (!o.custom || told(p, "kube_customresource_") && told(p, "kube_verticalpodautoscaler_"))
}

// everythingOfTheirs asks for all resources, labels and annotations that there
// are, and for the custom resources.
func everythingOfTheirs(t *testing.T) []string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "customresources.yaml")
	merged, err := yaml.Marshal(map[string]any{"spec": map[string]any{"resources": append(
		customResources(t, "testdata/customresources.yaml"), customResources(t, "testdata/verticalpodautoscalers.yaml")...)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, merged, 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"--resources=" + strings.Join(resources, ","), "--metric-labels-allowlist=*=[*]",
		"--metric-annotations-allowlist=*=[*]", "--custom-resource-state-config-file=" + config}
}

// customResources are the resources of a configuration.
func customResources(t *testing.T, file string) []any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Spec struct {
			Resources []any `yaml:"resources"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	return config.Spec.Resources
}

func ask(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

// page scrapes it. Of two points of one series the first counts, for Prometheus
// refuses the second.
func (o *oracle) page(t *testing.T) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(describedOnce(resp.Body)))
	if err != nil {
		t.Fatalf("parse page of kube-state-metrics: %v", err)
	}
	p := newPage()
	for name, f := range families {
		p.families[name] = familyOf(f)
		for _, m := range f.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			series := key(name, labels)
			if _, ok := p.series[series]; !ok {
				p.series[series] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return p
}

// describedOnce leaves out what is said of a family a second time, which the parser
// refuses and kube-state-metrics does for custom resources.
func describedOnce(page io.Reader) []byte {
	var kept bytes.Buffer
	said := map[string]bool{}
	lines := bufio.NewScanner(page)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if words := strings.SplitN(lines.Text(), " ", 4); words[0] == "#" && len(words) > 2 {
			if what := words[1] + words[2]; said[what] {
				continue
			} else {
				said[what] = true
			}
		}
		kept.Write(append(lines.Bytes(), '\n'))
	}
	return kept.Bytes()
}

func familyOf(f *dto.MetricFamily) family {
	return family{strings.ToLower(f.GetType().String()), f.GetHelp()}
}

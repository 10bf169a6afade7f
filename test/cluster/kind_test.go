package cluster

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// TestKindConfiguration: what kind and the kubelets read is YAML, within YAML.
func TestKindConfiguration(t *testing.T) {
	o := DefaultOptions()
	o.Nodes, o.LogMaxSize, o.LogMaxFiles, o.LogMonitorInterval = 3, "256Ki", 4, 3*time.Second
	o.KubeletConfig = "maxPods: 20\nfeatureGates:\n  PodAndContainerStatsFromCRI: true\n"
	file := filepath.Join(t.TempDir(), "kind.yaml")
	if _, err := writeConfig("kind.yaml", o, file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Kind  string
		Nodes []struct{ Role string }
		// Each is a document of its own.
		Patches []string `yaml:"kubeadmConfigPatches"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var roles []string
	for _, node := range config.Nodes {
		roles = append(roles, node.Role)
	}
	if diff := cmp.Diff([]string{"control-plane", "worker", "worker"}, roles); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	var kubelet map[string]any
	if len(config.Patches) != 1 || yaml.Unmarshal([]byte(config.Patches[0]), &kubelet) != nil {
		t.Fatalf("want one patch that is YAML, not %q", config.Patches)
	}
	want := map[string]any{
		"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1", "serverTLSBootstrap": true,
		"containerLogMaxSize": "256Ki", "containerLogMaxFiles": 4, "containerLogMonitorInterval": "3s",
		"maxPods": 20, "featureGates": map[string]any{"PodAndContainerStatsFromCRI": true},
	}
	if diff := cmp.Diff(want, kubelet); diff != "" {
		t.Errorf("kubelet's configuration (-want +got):\n%s", diff)
	}
}

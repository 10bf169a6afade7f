package kubestate

import (
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
)

type hostWith map[component.ID]component.Component

// GetExtensions returns the extensions.
func (h hostWith) GetExtensions() map[component.ID]component.Component { return h }

func TestStartNamesWhatIsWrong(t *testing.T) {
	kubeconfig := kubeconfigOf(t, "http://127.0.0.1:1")
	f := func(host component.Host, written map[string]any, want string) {
		t.Helper()
		written["kubeconfig"] = kubeconfig
		r := createReceiver(t, written)
		if err := r.Start(t.Context(), host); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	none := componenttest.NewNopHost()
	f(none, map[string]any{}, "node: is empty")
	f(none, map[string]any{"scope": "all", "leader": "leader"}, `leader: no extension "leader" is running`)
	f(hostWith{component.MustNewID("leader"): nothing{}}, map[string]any{"scope": "all", "leader": "leader"}, `leader: extension "leader" is not a leader`)
}

type nothing struct {
	component.StartFunc
	component.ShutdownFunc
}

func TestConfig(t *testing.T) {
	f := func(written map[string]any, want string) {
		t.Helper()
		cfg := NewFactory().CreateDefaultConfig()
		if err := confmap.NewFromStringMap(written).Unmarshal(cfg); err != nil {
			t.Fatal(err)
		}
		err := cfg.(*Config).Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", written, err, want)
		}
	}
	f(map[string]any{}, "")
	f(map[string]any{"scope": "all", "metric_labels_allowlist": map[string]any{"*": []any{"*"}, "pods": []any{"app"}}}, "")
	f(map[string]any{"scope": "some"}, `scope: "some", must be node, cluster or all`)
	f(map[string]any{"leader": "leader"}, `leader: "leader" with scope node`)
	f(map[string]any{"scope": "all", "node": "n"}, `node: "n" with scope all, must be empty`)
	f(map[string]any{"node": "a,b=c"}, `node: "a,b=c" is not a node's name`)
	f(map[string]any{"collection_interval": "1ms"}, "collection_interval: 1ms is not between 100ms and 1h")
	f(map[string]any{"max_bytes": 1}, "max_bytes: 1 is under the least of 1048576")
	f(map[string]any{"resources": []any{"pods", "pod"}}, `resources: "pod" is none of pods, nodes`)
	f(map[string]any{"metric_labels_allowlist": map[string]any{"pod": []any{"app"}}}, `metric_labels_allowlist: "pod" is none of`)
}

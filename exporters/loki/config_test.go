package loki

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
)

func TestDefaultConfig(t *testing.T) {
	if err := componenttest.CheckConfigStruct(NewFactory().CreateDefaultConfig()); err != nil {
		t.Error(err)
	}
	cfg := defaults()
	if !cfg.Retry.Enabled || cfg.Retry.MaxElapsedTime != 0 {
		t.Errorf("retry: %+v, want enabled without a time limit", cfg.Retry)
	}
}

func load(t *testing.T, settings map[string]any) (*Config, error) {
	t.Helper()
	cfg := NewFactory().CreateDefaultConfig().(*Config)
	if err := confmap.NewFromStringMap(settings).Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, confmap.Validate(cfg)
}

func TestLoadConfig(t *testing.T) {
	cfg, err := load(t, map[string]any{
		"endpoint": "https://logs.example.com/",
		"labels":   map[string]any{"app": "k8s.deployment.name", "node": ""},
		"tenant":   "main",
		"tenants":  map[string]any{"pay": "finance"},
		"headers":  map[string]any{"X-Extra": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	url, err := cfg.pushURL()
	if err != nil || url != "https://logs.example.com/loki/api/v1/push" {
		t.Errorf("push URL %q, %v", url, err)
	}
	want := []string{"app", "cluster", "container", "namespace", "pod", "service_name", "stream"}
	if diff := cmp.Diff(want, testRules(cfg).names); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestPushURLKeepsPath(t *testing.T) {
	cfg := testConfig("http://gateway/tenants/a/push?x=1")
	if got, err := cfg.pushURL(); err != nil || got != cfg.ClientConfig.Endpoint {
		t.Errorf("push URL %q, %v; want the endpoint", got, err)
	}
}

func TestValidateNamesKeyAndBound(t *testing.T) {
	many := map[string]any{}
	for i := range 20 {
		many[fmt.Sprintf("l%d", i)] = "a"
	}
	for want, settings := range map[string]map[string]any{
		"endpoint: must be set":                      {"endpoint": ""},
		`endpoint: must be a URL`:                    {"endpoint": "loki:3100"},
		"compression: must be empty":                 {"compression": "gzip"},
		"timeout: must be above 0":                   {"timeout": "0s"},
		"labels: must be at most 15":                 {"labels": many},
		"labels::a.b: name must match":               {"labels": map[string]any{"a.b": "c"}},
		"labels::__x: name must match":               {"labels": map[string]any{"__x": "c"}},
		"labels::1x: name must match":                {"labels": map[string]any{"1x": "c"}},
		"tenant: must consist of":                    {"tenant": "a/b"},
		"tenant: must have at most 150 bytes":        {"tenant": strings.Repeat("a", 151)},
		"tenants::pay: must not be":                  {"tenants": map[string]any{"pay": ".."}},
		"headers::x-scope-orgid: set tenant instead": {"headers": map[string]any{"x-scope-orgid": "a"}},
		"max_elapsed_time":                           {"retry_on_failure": map[string]any{"max_elapsed_time": "-1s"}},
	} {
		all := map[string]any{"endpoint": "http://loki:3100"}
		for k, v := range settings {
			all[k] = v
		}
		if _, err := load(t, all); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("settings %v: got %v, want an error with %q", settings, err, want)
		}
	}
}

package kubelet

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
)

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestConfigFromYAML(t *testing.T) {
	cfg := NewFactory().CreateDefaultConfig().(*Config)
	err := confmap.NewFromStringMap(map[string]any{
		"endpoint":            "https://10.0.0.1:10250",
		"token_file":          "/var/run/secrets/kubernetes.io/serviceaccount/token",
		"collection_interval": "30s",
		"tls":                 map[string]any{"insecure_skip_verify": true},
		"paths":               []any{"/metrics/cadvisor"},
	}).Unmarshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if cfg.Client.Endpoint != "https://10.0.0.1:10250" || cfg.CollectionInterval != 30*time.Second || cfg.scrapeTimeout() != 10*time.Second ||
		!cfg.Client.TLS.InsecureSkipVerify || len(cfg.Paths) != 1 || cfg.MaxBodyBytes != 64<<20 || cfg.MaxSeries != 200_000 {
		t.Errorf("config is %+v", cfg)
	}
}

func TestDefaultConfig(t *testing.T) {
	cfg := NewFactory().CreateDefaultConfig()
	if err := componenttest.CheckConfigStruct(cfg); err != nil {
		t.Error(err)
	}
	if err := cfg.(*Config).Validate(); err == nil || !strings.HasPrefix(err.Error(), "endpoint: ") {
		t.Errorf("without endpoint: %v", err)
	}
}

func TestValidate(t *testing.T) {
	f := func(says string, change func(*Config)) {
		t.Helper()
		cfg := defaultConfig()
		cfg.Client.Endpoint = "https://10.0.0.1:10250"
		change(cfg)
		err := cfg.Validate()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v does not say %q", err, says)
		}
	}
	f(`endpoint: "10.0.0.1" is not`, func(c *Config) { c.Client.Endpoint = "10.0.0.1" })
	f(`endpoint: "https://10.0.0.1" is not`, func(c *Config) { c.Client.Endpoint = "https://10.0.0.1" })
	f(`endpoint: "https://10.0.0.1:10250/metrics" has more`, func(c *Config) { c.Client.Endpoint += "/metrics" })
	f("endpoint: parse", func(c *Config) { c.Client.Endpoint = "https://\x00" })
	f("token_file: would be sent unencrypted", func(c *Config) { c.Client.Endpoint, c.TokenFile = "http://10.0.0.1:10255", "/token" })
	f("collection_interval: 1ms is under the least of 100ms", func(c *Config) { c.CollectionInterval = time.Millisecond })
	f("timeout: 20s is not between 0 and collection_interval (15s)", func(c *Config) { c.Client.Timeout = 20 * time.Second })
	f("timeout: -1s", func(c *Config) { c.Client.Timeout = -time.Second })
	f("max_body_bytes: 2 is not between 1024 and", func(c *Config) { c.MaxBodyBytes = 2 })
	f("max_series: 0 is not between 1 and", func(c *Config) { c.MaxSeries = 0 })
	f("paths: empty", func(c *Config) { c.Paths = nil })
	f(`paths: "metrics" is not a path`, func(c *Config) { c.Paths = []string{"metrics"} })
	f(`paths: "/metrics" is there twice`, func(c *Config) { c.Paths = []string{"/metrics", "/metrics"} })
}

// TestDropReplaces has a list in the file replace the default, not add to it.
func TestDropReplaces(t *testing.T) {
	for _, list := range [][]any{{}, {"container_*"}} {
		cfg := defaultConfig()
		if err := confmap.NewFromStringMap(map[string]any{"drop": list}).Unmarshal(cfg); err != nil {
			t.Fatal(err)
		}
		if len(cfg.Drop) != len(list) {
			t.Errorf("drop: %v gives %q", list, cfg.Drop)
		}
	}
}

func TestPatternsAreValidated(t *testing.T) {
	for _, pattern := range []string{"", "a[", `a\`} {
		cfg := defaultConfig()
		cfg.Client.Endpoint = "https://node:10250"
		cfg.Keep = []string{"good_*", pattern}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "keep: ") {
			t.Errorf("pattern %q gives the error %v", pattern, err)
		}
	}
}

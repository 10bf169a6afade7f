package prometheus

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
)

func load(t *testing.T, values map[string]any) (*Config, error) {
	t.Helper()
	cfg := NewFactory().CreateDefaultConfig().(*Config)
	if err := confmap.NewFromStringMap(values).Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
	return cfg, confmap.Validate(cfg)
}

func TestDefaultsAreSound(t *testing.T) {
	if err := componenttest.CheckConfigStruct(NewFactory().CreateDefaultConfig()); err != nil {
		t.Fatal(err)
	}
	cfg, err := load(t, map[string]any{"remote_write": map[string]any{
		"endpoint": "http://p:9090/api/v1/write", "headers": map[string]any{"X-Scope-OrgID": "a"}, "retry_on_failure": map[string]any{"max_elapsed_time": "0s"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	rw := cfg.RemoteWrite.Get()
	if rw == nil || rw.Protocol != ProtocolV1 || rw.Shards != 4 || rw.HTTP.Timeout != 30*time.Second || !rw.Retry.Enabled || rw.Retry.MaxElapsedTime != 0 {
		t.Errorf("remote_write: %+v", rw)
	}
	if v, ok := rw.HTTP.Headers.Get("X-Scope-OrgID"); !ok || v != "a" {
		t.Errorf("headers: %v", rw.HTTP.Headers)
	}
	if cfg.Scrape.HasValue() {
		t.Error("the page is served without being asked for")
	}
	if cfg, err = load(t, map[string]any{"scrape": map[string]any{"endpoint": "0.0.0.0:1"}}); err != nil || cfg.Scrape.Get().NetAddr.Endpoint != "0.0.0.0:1" || cfg.RemoteWrite.HasValue() {
		t.Errorf("scrape alone: %+v %v", cfg, err)
	}
}

func TestValidateNamesKeyValueAndBound(t *testing.T) {
	remote := func(key string, value any) map[string]any {
		rw := map[string]any{"endpoint": "http://p:9090/api/v1/write"}
		rw[key] = value
		return map[string]any{"remote_write": rw}
	}
	f := func(values map[string]any, want ...string) {
		t.Helper()
		_, err := load(t, values)
		if err == nil {
			t.Errorf("%v: accepted", values)
			return
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v: %q lacks %q", values, err, part)
			}
		}
	}
	f(map[string]any{}, "scrape", "remote_write")
	f(map[string]any{"scrape": map[string]any{"endpoint": ""}}, "scrape::endpoint")
	f(remote("endpoint", ""), "remote_write", "endpoint", "http://prometheus:9090/api/v1/write")
	f(remote("endpoint", "http://p:9090"), "endpoint", "path")
	f(remote("endpoint", "ftp://p/x"), "ftp://p/x")
	f(remote("endpoint", "http://a b/"), "endpoint")
	f(remote("timeout", "0s"), "timeout is 0s")
	f(remote("compression", "gzip"), "compression", "gzip")
	f(remote("protocol", "v3"), "protocol", "v3", "v1", "v2")
	f(remote("shards", 0), "shards is 0", "1 to 256")
	f(remote("shards", 257), "shards is 257")
	f(remote("retry_on_failure", map[string]any{"multiplier": -1}), "retry_on_failure")
	some := remote("shards", 1)
	some["expire_after"] = "10ms"
	f(some, "expire_after is 10ms", "1s")
	some["expire_after"] = "10s"
	some["max_bytes"] = 5
	f(some, "max_bytes is 5", "1048576")
}

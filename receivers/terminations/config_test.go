package terminations

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`endpoint: "/run/x"`:                func(c *Config) { c.Endpoint = "/run/x" },
		`endpoint: "unix://run/x"`:          func(c *Config) { c.Endpoint = "unix://run/x" },
		"node: empty":                       func(c *Config) { c.Node = "" },
		"collection_interval: 1ms":          func(c *Config) { c.CollectionInterval = time.Millisecond },
		"retention: 30s is under three":     func(c *Config) { c.Retention = 30 * time.Second },
		"max_series: 0 is not between 1":    func(c *Config) { c.MaxSeries = 0 },
		`directory: "x" is not an absolute`: func(c *Config) { c.Directory = "x" },
	} {
		cfg := defaultConfig()
		cfg.Node = "node-1"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

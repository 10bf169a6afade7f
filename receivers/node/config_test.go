package node

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
)

func TestConfig(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		says   string // "" for a good one
	}{
		"default":  {func(*Config) {}, ""},
		"no node":  {func(c *Config) { c.Node = "" }, "node: empty"},
		"interval": {func(c *Config) { c.CollectionInterval = time.Millisecond }, "collection_interval: 1ms"},
		"timeout":  {func(c *Config) { c.Timeout = time.Minute }, "timeout: 1m0s"},
		"series":   {func(c *Config) { c.MaxSeries = 0 }, "max_series: 0"},
		"root":     {func(c *Config) { c.RootPath = "host" }, `root_path: "host"`},
		"proc":     {func(c *Config) { c.ProcPath = "proc" }, `proc_path: "proc"`},
		"enable":   {func(c *Config) { c.Collectors.Enable = []string{"systemd", "processes"} }, ""},
		"unknown":  {func(c *Config) { c.Collectors.Disable = []string{"cpuu"} }, `no collector "cpuu"`},
		"both":     {func(c *Config) { c.Collectors.Enable, c.Collectors.Disable = []string{"cpu"}, []string{"cpu"} }, "both in enable"},
		"argument": {func(c *Config) {
			c.Collectors.Arguments = []string{"--collector.cpu.info", "--no-collector.arp.netlink"}
		}, ""},
		"help":        {func(c *Config) { c.Collectors.Arguments = []string{"--help"} }, `"--help" does not begin`},
		"file":        {func(c *Config) { c.Collectors.Arguments = []string{"@/etc/passwd"} }, "does not begin"},
		"path":        {func(c *Config) { c.Collectors.Arguments = []string{"--path.procfs=/x"} }, "does not begin"},
		"no flag":     {func(c *Config) { c.Collectors.Arguments = []string{"--collector.cpu.nothing"} }, "no flag"},
		"turned off":  {func(c *Config) { c.Collectors.Arguments = []string{"--no-collector.cpu"} }, "enable and disable"},
		"bad pattern": {func(c *Config) { c.Collectors.Arguments = []string{"--collector.netdev.device-exclude=("} }, "missing closing"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := defaultConfig()
			cfg.Node = "node-1"
			test.change(cfg)
			err := cfg.Validate()
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("error is %v, want one with %q", err, test.says)
			}
		})
	}
}

// TestKeys reads each key of a configuration file.
func TestKeys(t *testing.T) {
	cfg := defaultConfig()
	err := confmap.NewFromStringMap(map[string]any{
		"node": "n", "collection_interval": "30s", "timeout": "5s", "root_path": "/host/root",
		"proc_path": "/host/proc", "sys_path": "/host/sys", "directory": "/var/lib/x", "max_series": 7,
		"collectors": map[string]any{"enable": []any{"systemd"}, "disable": []any{"zfs"}, "arguments": []any{"--collector.cpu.info"}},
	}).Unmarshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := cfg.arguments(cfg.proc(), true); !strings.Contains(strings.Join(got, " "), "--path.rootfs=/host/root --path.procfs=/host/proc --path.sysfs=/host/sys --path.udev.data=/host/root/run/udev/data") {
		t.Errorf("arguments are %q", got)
	}
	if err := componenttest.CheckConfigStruct(NewFactory().CreateDefaultConfig()); err != nil {
		t.Error(err)
	}
}

// TestUsual leaves out a default that the user's argument replaces or excludes:
// node_exporter takes a flag once only.
func TestUsual(t *testing.T) {
	cfg := defaultConfig()
	cfg.Collectors.Arguments = []string{"--collector.filesystem.mount-points-include=^/$", "--collector.netdev.device-exclude=^lo$"}
	text := strings.Join(cfg.arguments("/proc", false), " ")
	if strings.Contains(text, "mount-points-exclude") || strings.Count(text, "netdev.device-exclude") != 1 {
		t.Errorf("arguments are %s", text)
	}
}

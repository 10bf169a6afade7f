package pipeline_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crowsnest-o11y/crowsnest/pipeline"
	"github.com/crowsnest-o11y/crowsnest/pipeline/agent"
	"github.com/crowsnest-o11y/crowsnest/pipeline/aggregator"
)

// run runs a program in this process and returns its exit code and output.
func run(t *testing.T, p pipeline.Program, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = p.Run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func overlay(t *testing.T, yaml string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEveryFragmentIsValidAlone(t *testing.T) {
	t.Setenv("CROWSNEST_DATA_DIR", t.TempDir())
	t.Setenv("K8S_NODE_NAME", "node-1")
	for _, name := range slices.Concat(agent.Program().Fragments.Names(), aggregator.Program().Fragments.Names()) {
		if filepath.Base(name) == "mtls" {
			continue // changes the connection of other fragments; see TestMutualTLSFragments
		}
		p := agent.Program()
		if strings.HasPrefix(name, "aggregator/") {
			p = aggregator.Program()
		}
		if code, _, stderr := run(t, p, "validate", "--config", "embedded:"+name); code != pipeline.ExitOK {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
}

func TestDefaultsAreValid(t *testing.T) {
	t.Setenv("CROWSNEST_DATA_DIR", t.TempDir())
	t.Setenv("K8S_NODE_NAME", "node-1")
	for _, p := range []pipeline.Program{agent.Program(), aggregator.Program()} {
		if code, _, stderr := run(t, p, "validate"); code != pipeline.ExitOK {
			t.Errorf("%s: exit code %d: %s", p.Name, code, stderr)
		}
	}
}

func TestBadConfigurationIsNamedAndHasItsExitCode(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"unknown key":                     {[]string{"--config", "embedded:aggregator/logs", "--config", overlay(t, "exporters: {loki: {endpiont: http://x}}")}, "endpiont"},
		"unknown key below":               {[]string{"--config", "embedded:aggregator/logs", "--config", overlay(t, "exporters: {loki: {tls: {ca_fiel: x}}}")}, "exporters::loki::tls: unknown key \"ca_fiel\""},
		"unknown key in an optional part": {[]string{"--config", "embedded:aggregator/metrics", "--config", overlay(t, "exporters: {prometheus: {remote_write: {endpont: x}}}")}, "endpont"},
		"unknown type":                    {[]string{"--config", "embedded:aggregator/logs", "--config", overlay(t, "exporters: {lokki: {}}")}, "lokki"},
		"unknown fragment":                {[]string{"--config", "embedded:aggregator/lgos"}, "aggregator/lgos"},
		"no such file":                    {[]string{"--config", "/does/not/exist.yaml"}, "/does/not/exist.yaml"},
		"not YAML":                        {[]string{"--config", overlay(t, "a: [")}, "not valid YAML"},
		"unknown flag":                    {[]string{"--confg", "x"}, "--confg"},
		"stray argument":                  {[]string{"overlay.yaml"}, "overlay.yaml"},
		"validate too":                    {[]string{"validate", "--config", "embedded:aggregator/logs", "--config", overlay(t, "exporters: {loki: {endpiont: http://x}}")}, "endpiont"},
	} {
		code, _, stderr := run(t, aggregator.Program(), c.args...)
		if code != pipeline.ExitBadConfig || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, want %d; stderr %q, want it to name %q", name, code, pipeline.ExitBadConfig, stderr, c.want)
		}
	}
}

func TestFailedStartHasItsExitCode(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	t.Setenv("CROWSNEST_HEALTH_ENDPOINT", taken.Addr().String())
	t.Setenv("CROWSNEST_METRICS_PORT", "0")
	code, _, stderr := run(t, aggregator.Program(), "--config", "embedded:aggregator/logs")
	if code != pipeline.ExitFailed || !strings.Contains(stderr, taken.Addr().String()) {
		t.Errorf("exit code %d, want %d; stderr %q, want it to name %s", code, pipeline.ExitFailed, stderr, taken.Addr())
	}
}

func TestSetOverridesAFragment(t *testing.T) {
	code, stdout, stderr := run(t, aggregator.Program(), "print-config", "--config", "embedded:aggregator/logs",
		"--set", "exporters.loki.endpoint=http://elsewhere:3100")
	if code != pipeline.ExitOK || !strings.Contains(stdout, "http://elsewhere:3100") {
		t.Errorf("exit code %d; stderr %s; stdout %s", code, stderr, stdout)
	}
}

func TestMutualTLSFragments(t *testing.T) {
	t.Setenv("K8S_NODE_NAME", "node-1")
	for fragment, p := range map[string]pipeline.Program{"agent": agent.Program(), "aggregator": aggregator.Program()} {
		code, stdout, stderr := run(t, p, "print-config", "--config", "embedded:"+fragment+"/logs", "--config", "embedded:"+fragment+"/mtls")
		if code != pipeline.ExitOK || !strings.Contains(stdout, "/etc/crowsnest/tls/ca.crt") {
			t.Errorf("%s: exit code %d; stderr %s; stdout %s", fragment, code, stderr, stdout)
		}
	}
}

func TestSubcommandsAndVersion(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"components"}, "containerlogs"},
		{[]string{"--version"}, pipeline.Version},
		{[]string{"print-config", "--config", "embedded:agent/logs"}, "containerlogs"},
	} {
		t.Setenv("K8S_NODE_NAME", "node-1")
		code, stdout, stderr := run(t, agent.Program(), c.args...)
		if code != pipeline.ExitOK || !strings.Contains(stdout, c.want) {
			t.Errorf("%v: exit code %d; stdout %q, want %q in it; stderr %q", c.args, code, stdout, c.want, stderr)
		}
	}
}

func TestCheckRulesTellsFailureFromMisuse(t *testing.T) {
	for want, args := range map[int][]string{
		pipeline.ExitBadConfig: {"check-rules"},
		pipeline.ExitFailed:    {"check-rules", "--prometheus", "http://127.0.0.1:1"},
	} {
		if code, _, stderr := run(t, aggregator.Program(), args...); code != want {
			t.Errorf("%v: exit code %d, want %d; stderr %q", args, code, want, stderr)
		}
	}
}

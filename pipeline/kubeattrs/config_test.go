package kubeattrs

import (
	"net"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
)

type wrongExtension struct {
	component.StartFunc
	component.ShutdownFunc
}

func TestStartNamesWhatIsMissing(t *testing.T) {
	f := func(h host, want string) {
		t.Helper()
		set, _ := settings(t)
		p, err := NewFactory().CreateLogs(t.Context(), set, config(), consumertest.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context(), h); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	f(host{}, `no extension "kubepods" is running`)
	f(host{map[component.ID]component.Component{podsID: wrongExtension{}}}, `is not a kubepods`)
}

func TestConfig(t *testing.T) {
	if err := componenttest.CheckConfigStruct(NewFactory().CreateDefaultConfig()); err != nil {
		t.Error(err)
	}
	written := confmap.NewFromStringMap(map[string]any{
		"pods": "kubepods", "cluster": "lab", "node": "lab-1", "labels": []any{"app"}, "annotations": []any{},
	})
	read := NewFactory().CreateDefaultConfig()
	if err := written.Unmarshal(read); err != nil {
		t.Fatal(err)
	}
	if got := read.(*Config); *got.Pods != podsID || got.Cluster != "lab" || got.Node != "lab-1" || len(got.Labels) != 1 {
		t.Errorf("%+v", got)
	}
	f := func(cfg *Config, want string) {
		t.Helper()
		err := cfg.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(config(), "")
	f(&Config{Labels: make([]string, 65)}, "labels: 65 keys, must be at most 64")
	f(&Config{Annotations: []string{"a", ""}}, "annotations: key 2 is empty")
}

func TestSendersThatAreNoAddress(t *testing.T) {
	for _, addr := range []net.Addr{nil, &net.UnixAddr{Name: "/run/x.sock", Net: "unix"}, &net.TCPAddr{}, &net.IPAddr{}} {
		if got := hostOf(addr); got.IsValid() {
			t.Errorf("%v: %v", addr, got)
		}
	}
	if got := hostOf(&net.UDPAddr{IP: net.ParseIP("10.0.0.1"), Port: 1}); got.String() != "10.0.0.1" {
		t.Errorf("%v", got)
	}
}

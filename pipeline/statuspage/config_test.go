package statuspage

import (
	"strings"
	"testing"

	"go.opentelemetry.io/collector/confmap"
)

func TestConfigSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		keys map[string]any
		want string // part of the error; "" = none
	}{
		"default":               {nil, ""},
		"loopback by address":   {map[string]any{"endpoint": "[::1]:13080"}, ""},
		"all addresses":         {map[string]any{"endpoint": "0.0.0.0:13080"}, "endpoint: \"0.0.0.0:13080\" can be reached from other machines"},
		"all addresses, short":  {map[string]any{"endpoint": ":13080"}, "set token_file"},
		"a name":                {map[string]any{"endpoint": "localhost.example:13080"}, "set token_file"},
		"no port":               {map[string]any{"endpoint": "10.0.0.1"}, "set token_file"},
		"with a token":          {map[string]any{"endpoint": ":13080", "token_file": "/token"}, ""},
		"TLS alone":             {map[string]any{"endpoint": ":13080", "tls": map[string]any{"cert_file": "c", "key_file": "k"}}, "set token_file"},
		"client certificates":   {map[string]any{"endpoint": ":13080", "tls": map[string]any{"cert_file": "c", "key_file": "k", "client_ca_file": "ca"}}, ""},
		"peers":                 {map[string]any{"peers": map[string]any{"endpoint": "http://aggregators:13080"}}, ""},
		"peers without a port":  {map[string]any{"peers": map[string]any{"endpoint": "http://aggregators"}}, "peers.endpoint: \"http://aggregators\" has no port"},
		"peers without scheme":  {map[string]any{"peers": map[string]any{"endpoint": "aggregators:13080"}}, "not of the form http://host:port"},
		"Prometheus by another": {map[string]any{"prometheus": map[string]any{"endpoint": "file:///etc/passwd"}}, "prometheus.endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := defaultConfig().(*Config)
			if err := confmap.NewFromStringMap(c.keys).Unmarshal(cfg); err != nil {
				t.Fatal(err)
			}
			err := cfg.Validate()
			if c.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

package kubepods

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
)

// Where pods are read from.
const (
	sourceAPIServer = "apiserver"
	sourceKubelet   = "kubelet"
	sourceNone      = "none"
)

// Config is what users write.
type Config struct {
	// Source is apiserver, kubelet or none.
	Source string `mapstructure:"source"`
	// Node is the name of this node, as in the pods' spec.nodeName.
	Node string `mapstructure:"node"`
	// Kubeconfig says how to reach the API server from outside a cluster;
	// without it the pod's service account does.
	Kubeconfig string `mapstructure:"kubeconfig"`
	// Kubelet says how to reach the kubelet, for source kubelet.
	Kubelet KubeletConfig `mapstructure:"kubelet"`
}

// KubeletConfig is the collector's HTTP client configuration and a token.
type KubeletConfig struct {
	ClientConfig confighttp.ClientConfig `mapstructure:",squash"`
	// TokenFile holds the bearer token; it is read for each request, so a
	// rotated token is used at once. Empty: no token (client certificate).
	TokenFile string `mapstructure:"token_file"`
}

func defaultConfig() component.Config {
	cfg := &Config{Source: sourceAPIServer}
	cfg.Kubelet.ClientConfig = confighttp.NewDefaultClientConfig()
	cfg.Kubelet.ClientConfig.Timeout = 30 * time.Second
	return cfg
}

// Validate checks what can be checked without looking at the machine.
func (c *Config) Validate() error {
	switch c.Source {
	case sourceNone:
		return nil
	case sourceKubelet:
		return c.Kubelet.validate()
	case sourceAPIServer:
		// Without a kubeconfig the node's name is needed only in a cluster; see Start.
		if c.Kubeconfig != "" && c.Node == "" {
			return errors.New("node: is empty, must be the name of the node whose pods are watched")
		}
		return nil
	}
	return fmt.Errorf("source: %q, must be %s, %s or %s", c.Source, sourceAPIServer, sourceKubelet, sourceNone)
}

func (c *KubeletConfig) validate() error {
	u, err := url.Parse(c.ClientConfig.Endpoint)
	if err != nil {
		return fmt.Errorf("kubelet.endpoint: %w", err)
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("kubelet.endpoint: %q, must be a URL such as https://10.0.0.7:10250", c.ClientConfig.Endpoint)
	}
	return nil
}

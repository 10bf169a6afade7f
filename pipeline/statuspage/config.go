package statuspage

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"
)

// Config is what users write for the extension.
type Config struct {
	// Server has the address and its TLS settings.
	Server confighttp.ServerConfig `mapstructure:",squash"`
	// TokenFile has the token that opens the page, as a bearer token or by the
	// login form; it is read anew when it changes. Empty: no token.
	TokenFile string `mapstructure:"token_file"`
	// Replica is this aggregator's name, the same as the instance of its own metrics.
	Replica string `mapstructure:"replica"`
	// Peers is how the other aggregators' pages are reached: the host of its
	// endpoint is a name that resolves to all of them (a headless Service).
	// Without an endpoint the page shows what one aggregator has seen.
	Peers confighttp.ClientConfig `mapstructure:"peers"`
	// Prometheus is asked for active alerts, if it has an endpoint.
	Prometheus confighttp.ClientConfig `mapstructure:"prometheus"`
}

const defaultEndpoint = "localhost:13080"

func defaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = defaultEndpoint
	return &Config{
		Server:     server,
		Peers:      confighttp.NewDefaultClientConfig(),
		Prometheus: confighttp.NewDefaultClientConfig(),
	}
}

// Validate names each key that cannot be worked with and its value.
func (c *Config) Validate() error {
	var errs []error
	if c.Server.NetAddr.Endpoint == "" {
		errs = append(errs, errors.New("endpoint: is empty"))
	}
	if !c.isLocal() && !c.isProtected() {
		errs = append(errs, fmt.Errorf("endpoint: %q can be reached from other machines, and the page shows log lines: set token_file or tls.client_ca_file, or listen on localhost and use kubectl port-forward", c.Server.NetAddr.Endpoint))
	}
	if err := validateURL(c.Peers.Endpoint); err != nil {
		errs = append(errs, fmt.Errorf("peers.endpoint: %w", err))
	} else if u, _ := url.Parse(c.Peers.Endpoint); c.Peers.Endpoint != "" && u.Port() == "" {
		errs = append(errs, fmt.Errorf("peers.endpoint: %q has no port", c.Peers.Endpoint))
	}
	if err := validateURL(c.Prometheus.Endpoint); err != nil {
		errs = append(errs, fmt.Errorf("prometheus.endpoint: %w", err))
	}
	return errors.Join(errs...)
}

func validateURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%q is not of the form http://host:port", text)
	}
	return nil
}

// isLocal says whether only this machine (or pod) can reach the page.
func (c *Config) isLocal() bool {
	switch c.Server.NetAddr.Transport {
	case confignet.TransportTypeUnix, confignet.TransportTypeUnixPacket, confignet.TransportTypeUnixgram:
		return true
	}
	host, _, err := net.SplitHostPort(c.Server.NetAddr.Endpoint)
	return err == nil && isLoopback(host)
}

// isProtected says whether who asks has to prove something.
func (c *Config) isProtected() bool {
	return c.TokenFile != "" || c.Server.Auth.HasValue() || c.Server.TLS.HasValue() && c.Server.TLS.Get().ClientCAFile != ""
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

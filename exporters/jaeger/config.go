package jaeger

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
)

// Values of the key protocol.
const (
	protocolOTLP  = "otlp"
	protocolAPIv2 = "api_v2"
)

// Config is the user's part. The defaults fit Jaeger's collector in the same
// cluster; only the endpoint has none.
type Config struct {
	// ClientConfig: endpoint (host:port), tls, compression (default none: Jaeger
	// is near, and older ones know gzip only), headers, keepalive…
	ClientConfig configgrpc.ClientConfig `mapstructure:",squash"`

	// Protocol is "otlp" (default) or "api_v2".
	Protocol string `mapstructure:"protocol"`

	// Timeout of one request, not of all retries.
	Timeout time.Duration `mapstructure:"timeout"`

	// RetryConfig says how long to wait between tries. max_elapsed_time is 0:
	// no limit. With another value data goes back to the sender after it.
	RetryConfig configretry.BackOffConfig `mapstructure:"retry_on_failure"`
}

func defaultConfig() component.Config {
	client := configgrpc.NewDefaultClientConfig()
	// Without pings a connection into a black hole is given up only when the
	// kernel stops retransmitting (about 15 minutes). 30 s apart and only while
	// a request is open they pass the enforcement of gRPC servers.
	keepalive := configgrpc.NewDefaultKeepaliveClientConfig()
	keepalive.Time = 30 * time.Second
	client.Keepalive = configoptional.Some(keepalive)
	client.WriteBufferSize = 512 << 10

	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = time.Second
	retry.MaxInterval = 15 * time.Second
	retry.MaxElapsedTime = 0
	return &Config{ClientConfig: client, Protocol: protocolOTLP, Timeout: 10 * time.Second, RetryConfig: retry}
}

// Validate names the key, the value and the bound of everything out of bounds.
// The parts taken from the collector validate themselves.
func (c *Config) Validate() error {
	var errs []error
	if c.ClientConfig.Endpoint == "" {
		errs = append(errs, errors.New(`endpoint is empty: give Jaeger's host:port, such as "jaeger-collector:4317"`))
	}
	if c.Protocol != protocolOTLP && c.Protocol != protocolAPIv2 {
		errs = append(errs, fmt.Errorf("protocol is %q: must be %q or %q", c.Protocol, protocolOTLP, protocolAPIv2))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout is %v: must be over 0s", c.Timeout))
	}
	if !c.RetryConfig.Enabled {
		errs = append(errs, errors.New("retry_on_failure::enabled is false: must be true, a request that fails once would be lost"))
	}
	return errors.Join(errs...)
}

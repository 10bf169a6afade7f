package prometheus

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
)

// The remote write protocols.
const (
	ProtocolV1 = "v1"
	// ProtocolV2 is remote write 2.0, still experimental upstream.
	ProtocolV2 = "v2"
)

const (
	maxShards      = 256
	minExpireAfter = time.Second
	minMaxBytes    = 1 << 20
)

// Config has at least one of the two outputs.
type Config struct {
	// Scrape serves the page /metrics.
	Scrape configoptional.Optional[confighttp.ServerConfig] `mapstructure:"scrape"`
	// RemoteWrite pushes, and decides what ConsumeMetrics answers.
	RemoteWrite configoptional.Optional[RemoteWriteConfig] `mapstructure:"remote_write"`
	// ExpireAfter is how long a series without new samples and without a stale
	// marker is kept at most; one whose interval is known, for two intervals.
	ExpireAfter time.Duration `mapstructure:"expire_after"`
	// MaxBytes bounds the memory of the series table (estimated).
	MaxBytes int64 `mapstructure:"max_bytes"`
}

// RemoteWriteConfig is the client; its endpoint is the whole URL.
type RemoteWriteConfig struct {
	HTTP     confighttp.ClientConfig   `mapstructure:",squash"`
	Protocol string                    `mapstructure:"protocol"`
	Shards   int                       `mapstructure:"shards"`
	Retry    configretry.BackOffConfig `mapstructure:"retry_on_failure"`
}

func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = "localhost:9464"
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = 30 * time.Second
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = time.Second
	retry.MaxElapsedTime = 0
	return &Config{
		Scrape: configoptional.Default(server),
		RemoteWrite: configoptional.Default(RemoteWriteConfig{
			HTTP:     client,
			Protocol: ProtocolV1,
			Shards:   4,
			Retry:    retry,
		}),
		ExpireAfter: 5 * time.Minute,
		MaxBytes:    1 << 30,
	}
}

// Validate reports every bad value with its key and bound.
func (c *Config) Validate() error {
	var errs []error
	if !c.Scrape.HasValue() && !c.RemoteWrite.HasValue() {
		errs = append(errs, errors.New(`neither "scrape" nor "remote_write" is given: at least one is needed`))
	}
	if s := c.Scrape.Get(); s != nil && s.NetAddr.Endpoint == "" {
		errs = append(errs, errors.New(`scrape::endpoint is empty: give an address such as "0.0.0.0:9464"`))
	}
	if c.ExpireAfter < minExpireAfter {
		errs = append(errs, fmt.Errorf("expire_after is %s: the least is %s", c.ExpireAfter, minExpireAfter))
	}
	if c.MaxBytes < minMaxBytes {
		errs = append(errs, fmt.Errorf("max_bytes is %d: the least is %d", c.MaxBytes, minMaxBytes))
	}
	return errors.Join(errs...)
}

// Validate reports every bad value with its key and bound.
func (c *RemoteWriteConfig) Validate() error {
	var errs []error
	if err := validateEndpoint(c.HTTP.Endpoint); err != nil {
		errs = append(errs, err)
	}
	if c.HTTP.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout is %s: it must be more than 0, or one hanging request would hold its shard for ever", c.HTTP.Timeout))
	}
	if c.HTTP.Compression.IsCompressed() {
		errs = append(errs, fmt.Errorf("compression is %q: remote write is always snappy, leave it out", c.HTTP.Compression))
	}
	if c.Protocol != ProtocolV1 && c.Protocol != ProtocolV2 {
		errs = append(errs, fmt.Errorf("protocol is %q: it is %q or %q", c.Protocol, ProtocolV1, ProtocolV2))
	}
	if c.Shards < 1 || c.Shards > maxShards {
		errs = append(errs, fmt.Errorf("shards is %d: it is 1 to %d", c.Shards, maxShards))
	}
	return errors.Join(errs...)
}

func validateEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return fmt.Errorf("endpoint: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Path == "", u.Path == "/":
		return fmt.Errorf("endpoint is %q: give the whole URL with its path, such as http://prometheus:9090/api/v1/write", endpoint)
	}
	return nil
}

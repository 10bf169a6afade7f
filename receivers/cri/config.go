package cri

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/crowsnest-o11y/crowsnest/criapi"
)

// Config is the user's part of the receiver.
type Config struct {
	// Endpoint is the CRI socket, such as "unix:///run/containerd/containerd.sock".
	Endpoint string `mapstructure:"endpoint"`

	// Instance becomes the label "instance": "<node address>:10250", as the
	// kubelet's own pages have it.
	Instance string `mapstructure:"instance"`

	// CollectionInterval is the time between two scrapes.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`

	// MaxSeries bounds the samples of one scrape.
	MaxSeries int `mapstructure:"max_series"`
}

func defaultConfig() *Config {
	return &Config{
		Endpoint:           criapi.DefaultEndpoint,
		CollectionInterval: 15 * time.Second,
		MaxSeries:          200_000,
	}
}

// scrapeTimeout bounds one scrape, which must end before the next begins.
func (c *Config) scrapeTimeout() time.Duration {
	return min(10*time.Second, c.CollectionInterval)
}

// Validate names each key that cannot be worked with, its value and the bound.
func (c *Config) Validate() error {
	var errs []error
	if err := criapi.CheckEndpoint(c.Endpoint); err != nil {
		errs = append(errs, fmt.Errorf("endpoint: %w", err))
	}
	if host, port, err := net.SplitHostPort(c.Instance); err != nil || host == "" || port == "" {
		errs = append(errs, fmt.Errorf(`instance: %q is not of the form "<node address>:10250"`, c.Instance))
	}
	if c.CollectionInterval < 100*time.Millisecond || c.CollectionInterval > time.Hour {
		errs = append(errs, fmt.Errorf("collection_interval: %v is not between 100ms and 1h", c.CollectionInterval))
	}
	if c.MaxSeries < 1 || c.MaxSeries > 10_000_000 {
		errs = append(errs, fmt.Errorf("max_series: %d is not between 1 and 10000000", c.MaxSeries))
	}
	return errors.Join(errs...)
}

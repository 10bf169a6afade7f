package terminations

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/crowsnest-o11y/crowsnest/criapi"
)

// Config is the user's part of the receiver.
type Config struct {
	// Endpoint is the CRI socket, such as "unix:///run/containerd/containerd.sock".
	Endpoint string `mapstructure:"endpoint"`

	// Node becomes the label "instance".
	Node string `mapstructure:"node"`

	// CollectionInterval is the time between two lists of containers and
	// between two samples of a counter.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`

	// Directory keeps counters and counted containers. Empty: in memory, so
	// that counters begin anew with the agent.
	Directory string `mapstructure:"directory"`

	// CgroupRoot is where the node's cgroups are mounted. Empty: OOM kills are
	// counted only where they ended a container.
	CgroupRoot string `mapstructure:"cgroup_root"`

	// Retention is how long the series of a pod stay that the runtime has no more.
	Retention time.Duration `mapstructure:"retention"`

	// MaxSeries bounds the series; what is over is counted in one with reason
	// "SeriesLimit" and without the other labels.
	MaxSeries int `mapstructure:"max_series"`
}

func defaultConfig() *Config {
	return &Config{
		Endpoint:           criapi.DefaultEndpoint,
		CollectionInterval: 15 * time.Second,
		CgroupRoot:         "/sys/fs/cgroup",
		Retention:          10 * time.Minute,
		MaxSeries:          10_000,
	}
}

// Validate names each key that cannot be worked with, its value and the bound.
func (c *Config) Validate() error {
	var errs []error
	if err := criapi.CheckEndpoint(c.Endpoint); err != nil {
		errs = append(errs, fmt.Errorf("endpoint: %w", err))
	}
	if c.Node == "" {
		errs = append(errs, errors.New("node: empty; set the node's name, which becomes the label instance"))
	}
	if c.CollectionInterval < 100*time.Millisecond || c.CollectionInterval > time.Hour {
		errs = append(errs, fmt.Errorf("collection_interval: %v is not between 100ms and 1h", c.CollectionInterval))
	}
	if c.Retention < 3*c.CollectionInterval {
		errs = append(errs, fmt.Errorf("retention: %v is under three times collection_interval (%v); a short pod's counters could be missed", c.Retention, c.CollectionInterval))
	}
	if c.MaxSeries < 1 || c.MaxSeries > 1_000_000 {
		errs = append(errs, fmt.Errorf("max_series: %d is not between 1 and 1000000", c.MaxSeries))
	}
	for key, path := range map[string]string{"directory": c.Directory, "cgroup_root": c.CgroupRoot} {
		if path != "" && !filepath.IsAbs(path) {
			errs = append(errs, fmt.Errorf("%s: %q is not an absolute path", key, path))
		}
	}
	return errors.Join(errs...)
}

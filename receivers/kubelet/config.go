package kubelet

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"
)

// Config is the user's part of the receiver.
type Config struct {
	// Client holds endpoint ("https://<node address>:10250"), tls,
	// timeout and the other settings of a collector HTTP client. The endpoint's
	// host and port become the label "instance".
	//
	// A timeout of 0, the default, is 10 s, or the interval if that is less.
	//
	// Not embedded: its Unmarshal method would become Config's own.
	Client confighttp.ClientConfig `mapstructure:",squash"`

	// TokenFile is the file with the bearer token, read anew for each scrape,
	// so that a rotated token is used at once. Empty: no token is sent.
	TokenFile string `mapstructure:"token_file"`

	// CollectionInterval is the time between two scrapes of one page.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`

	// Paths are the pages to scrape.
	Paths []string `mapstructure:"paths"`

	// Keep and Drop name series of all pages by patterns ("*" and "?" stand for
	// any text and any character). If Keep names any, only those go on; of them
	// not those that Drop names. The name of a histogram or summary stands for
	// its _bucket, _sum and _count. Drop replaces the default list when set.
	Keep []string `mapstructure:"keep"`
	Drop []string `mapstructure:"drop"`

	// NativeHistograms asks for the pages in the protobuf format, in which a
	// kubelet with the feature gate NativeHistograms gives such beside the
	// classic ones; both go on. Pages take about ten times as long to read.
	NativeHistograms bool `mapstructure:"native_histograms"`

	// MaxBodyBytes bounds one page, as sent and unpacked.
	MaxBodyBytes int `mapstructure:"max_body_bytes"`

	// MaxSeries bounds the samples taken from one page.
	MaxSeries int `mapstructure:"max_series"`
}

func defaultConfig() *Config {
	return &Config{
		Client:             confighttp.NewDefaultClientConfig(),
		CollectionInterval: 15 * time.Second,
		Paths:              []string{"/metrics/cadvisor", "/metrics/resource", "/metrics/probes", "/metrics"},
		Drop:               slices.Clone(defaultDrop),
		MaxBodyBytes:       64 << 20,
		MaxSeries:          200_000,
	}
}

// scrapeTimeout bounds one scrape, which must end before the next begins.
func (c *Config) scrapeTimeout() time.Duration {
	if c.Client.Timeout == 0 {
		return min(10*time.Second, c.CollectionInterval)
	}
	return c.Client.Timeout
}

// Validate names each key that cannot be worked with, its value and the bound.
func (c *Config) Validate() error {
	errs := []error{c.Client.Validate(), c.validateEndpoint()}
	if c.CollectionInterval < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("collection_interval: %v is under the least of 100ms", c.CollectionInterval))
	}
	if c.Client.Timeout < 0 || c.Client.Timeout > c.CollectionInterval {
		errs = append(errs, fmt.Errorf("timeout: %v is not between 0 and collection_interval (%v); a scrape must end before the next begins", c.Client.Timeout, c.CollectionInterval))
	}
	if c.MaxBodyBytes < 1<<10 || c.MaxBodyBytes > 1<<30 {
		errs = append(errs, fmt.Errorf("max_body_bytes: %d is not between 1024 and 1073741824", c.MaxBodyBytes))
	}
	if c.MaxSeries < 1 || c.MaxSeries > 10_000_000 {
		errs = append(errs, fmt.Errorf("max_series: %d is not between 1 and 10000000", c.MaxSeries))
	}
	errs = append(errs, c.validatePaths(), validatePatterns("keep", c.Keep), validatePatterns("drop", c.Drop))
	return errors.Join(errs...)
}

func validatePatterns(key string, patterns []string) error {
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf(`%s: %q is not a pattern such as "container_fs_*"`, key, pattern)
		}
	}
	return nil
}

func (c *Config) validateEndpoint() error {
	u, err := url.Parse(c.Client.Endpoint)
	switch {
	case err != nil:
		return fmt.Errorf("endpoint: parse %q: %w", c.Client.Endpoint, err)
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Port() == "":
		return fmt.Errorf(`endpoint: %q is not of the form "https://<node address>:10250"`, c.Client.Endpoint)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
		return fmt.Errorf("endpoint: %q has more than scheme, host and port; pages are named in paths", c.Client.Endpoint)
	case u.Scheme == "http" && c.TokenFile != "":
		return fmt.Errorf("token_file: would be sent unencrypted to %q; use https", c.Client.Endpoint)
	}
	return nil
}

func (c *Config) validatePaths() error {
	if len(c.Paths) == 0 {
		return errors.New("paths: empty, so nothing would be scraped")
	}
	seen := make(map[string]bool, len(c.Paths))
	for _, path := range c.Paths {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?# \t\r\n") {
			return fmt.Errorf(`paths: %q is not a path such as "/metrics/cadvisor"`, path)
		}
		if seen[path] {
			return fmt.Errorf("paths: %q is there twice; its series would contradict each other", path)
		}
		seen[path] = true
	}
	return nil
}

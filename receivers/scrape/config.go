package scrape

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/component"
)

// Config is the user's part of the receiver.
type Config struct {
	// Interval is the time between two scrapes of one target, and Timeout
	// bounds one; 0, the default, is 10 s, or the interval if that is less. A job
	// or monitor may have its own.
	Interval time.Duration `mapstructure:"interval"`
	Timeout  time.Duration `mapstructure:"timeout"`

	// Limits hold for each target whose job or monitor has none of its own.
	Limits LimitsConfig `mapstructure:"limits"`
	// MaxCacheBytes bounds what is remembered of all targets' series together.
	MaxCacheBytes int64 `mapstructure:"max_cache_bytes"`
	// MaxPageBytes bounds all pages that are being fetched together.
	MaxPageBytes int64 `mapstructure:"max_page_bytes"`
	// NativeHistograms asks targets for native histograms (by protobuf); those
	// that have both kinds then give the native one alone, as to Prometheus.
	NativeHistograms bool `mapstructure:"native_histograms"`

	// Pods is the extension that knows this node's pods; without it no pods
	// are scraped.
	Pods *component.ID `mapstructure:"pods"`
	// Node is this node's name, the label "node" of its targets.
	Node string `mapstructure:"node"`
	// Kubeconfig says how to reach the API server from outside a cluster.
	Kubeconfig string `mapstructure:"kubeconfig"`
	// Leader is the extension that says whether this process leads. With it,
	// api_server is scraped only by the one that does.
	Leader *component.ID `mapstructure:"leader"`

	// Jobs have fixed targets.
	Jobs []JobConfig `mapstructure:"jobs"`
	// Annotations: scrape pods that bear prometheus.io/scrape: "true".
	Annotations bool `mapstructure:"annotations"`
	// Monitors: scrape pods by PodMonitors and ServiceMonitors, if those exist.
	Monitors bool `mapstructure:"monitors"`
	// ControlPlane: scrape the components of the control plane that are pods
	// of this node.
	ControlPlane bool `mapstructure:"control_plane"`
	// APIServer: scrape the API servers.
	APIServer bool `mapstructure:"api_server"`
	// TokenFile is for the control plane and, in a cluster, for the API servers,
	// and CAFile for these; kube-scheduler's and kube-controller-manager's
	// certificates are self-signed.
	TokenFile string `mapstructure:"token_file"`
	CAFile    string `mapstructure:"ca_file"`
}

// LimitsConfig bounds what one page may hold. A page beyond one is refused
// whole, as by Prometheus. 0: no limit.
type LimitsConfig struct {
	BodyBytes             int `mapstructure:"body_bytes"`
	Samples               int `mapstructure:"samples"`
	Labels                int `mapstructure:"labels"`
	LabelNameLengthBytes  int `mapstructure:"label_name_length"`
	LabelValueLengthBytes int `mapstructure:"label_value_length"`
}

// JobConfig is a job with fixed targets.
type JobConfig struct {
	// Name is the label "job".
	Name string `mapstructure:"name"`
	// Targets are host:port each, the label "instance" unless Labels has one.
	Targets []string          `mapstructure:"targets"`
	Labels  map[string]string `mapstructure:"labels"`
	Scheme  string            `mapstructure:"scheme"`
	Path    string            `mapstructure:"path"`
	TLS     TLSConfig         `mapstructure:"tls"`
	// TokenFile holds a bearer token; it is read anew for each scrape.
	TokenFile string `mapstructure:"token_file"`
	// Interval, Timeout and Limits: 0 is the receiver's.
	Interval time.Duration `mapstructure:"interval"`
	Timeout  time.Duration `mapstructure:"timeout"`
	Limits   LimitsConfig  `mapstructure:"limits"`
	// HonorLabels: labels of the page win over the target's.
	HonorLabels bool `mapstructure:"honor_labels"`
	// MetricNameEscapingScheme is what is asked for where names of metrics or labels
	// have other characters than letters, digits, "_" and ":", such as the dots of
	// OpenTelemetry's: "underscores" has "_" in their stead; "dots" and "values" are
	// Prometheus' other two. Empty is "allow-utf-8", as in Prometheus 3: the names as
	// they are.
	MetricNameEscapingScheme string `mapstructure:"metric_name_escaping_scheme"`
	// Optional targets may be out of reach by design: they have no series, not
	// even up, until they answered once.
	Optional bool `mapstructure:"optional"`
}

// TLSConfig is how a job's targets are trusted, and trust us.
type TLSConfig struct {
	CAFile             string `mapstructure:"ca_file"`
	CertFile           string `mapstructure:"cert_file"`
	KeyFile            string `mapstructure:"key_file"`
	ServerName         string `mapstructure:"server_name"`
	InsecureSkipVerify bool   `mapstructure:"insecure_skip_verify"`
}

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

func defaultConfig() *Config {
	return &Config{
		Interval: 30 * time.Second,
		Limits: LimitsConfig{
			BodyBytes:             32 << 20,
			Samples:               50_000,
			Labels:                128,
			LabelNameLengthBytes:  1 << 10,
			LabelValueLengthBytes: 16 << 10,
		},
		MaxCacheBytes: 128 << 20,
		MaxPageBytes:  64 << 20,
		TokenFile:     serviceAccount + "token",
		CAFile:        serviceAccount + "ca.crt",
	}
}

// Validate names each key that cannot be worked with, its value and the bound.
func (c *Config) Validate() error {
	errs := []error{validateTimes("", c.Interval, c.timeout()), c.Limits.validate("limits")}
	if c.MaxCacheBytes < 1<<20 {
		errs = append(errs, fmt.Errorf("max_cache_bytes: %d is under the least of 1048576", c.MaxCacheBytes))
	}
	if c.MaxPageBytes < int64(c.Limits.BodyBytes) || c.MaxPageBytes < 1<<16 {
		errs = append(errs, fmt.Errorf("max_page_bytes: %d is less than limits.body_bytes (%d) or 65536", c.MaxPageBytes, c.Limits.BodyBytes))
	}
	for _, need := range []struct {
		on  bool
		key string
	}{{c.Annotations, "annotations"}, {c.Monitors, "monitors"}, {c.ControlPlane, "control_plane"}} {
		if need.on && c.Pods == nil {
			errs = append(errs, fmt.Errorf("%s: true needs pods, the id of the kubepods extension", need.key))
		}
	}
	names := map[string]bool{}
	for i := range c.Jobs {
		errs = append(errs, c.Jobs[i].validate(c, fmt.Sprintf("jobs[%d]", i)))
		if names[c.Jobs[i].Name] {
			errs = append(errs, fmt.Errorf("jobs[%d].name: %q is there twice", i, c.Jobs[i].Name))
		}
		names[c.Jobs[i].Name] = true
	}
	return errors.Join(errs...)
}

func (c *Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return min(10*time.Second, c.Interval)
	}
	return c.Timeout
}

func validateTimes(where string, interval, timeout time.Duration) error {
	if interval < 100*time.Millisecond || interval > 24*time.Hour {
		return fmt.Errorf("%sinterval: %v is not between 100ms and 24h", where, interval)
	}
	if timeout <= 0 || timeout > interval {
		return fmt.Errorf("%stimeout: %v is not between 0 and interval (%v); a scrape must end before the next begins", where, timeout, interval)
	}
	return nil
}

func (l *LimitsConfig) validate(where string) error {
	if l.BodyBytes < 0 || l.BodyBytes > 1<<30 {
		return fmt.Errorf("%s.body_bytes: %d is not between 0 and 1073741824", where, l.BodyBytes)
	}
	for _, v := range []struct {
		key   string
		value int
	}{{"samples", l.Samples}, {"labels", l.Labels}, {"label_name_length", l.LabelNameLengthBytes}, {"label_value_length", l.LabelValueLengthBytes}} {
		if v.value < 0 {
			return fmt.Errorf("%s.%s: %d is negative", where, v.key, v.value)
		}
	}
	return nil
}

func (j *JobConfig) validate(c *Config, where string) error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(where+"."+format, args...)) }
	if j.Name == "" {
		refuse("name: is empty, must be the label job of its series")
	}
	if len(j.Targets) == 0 {
		refuse("targets: empty, so nothing would be scraped")
	}
	for _, t := range j.Targets {
		if _, _, err := net.SplitHostPort(t); err != nil || checkAddress(t) != nil {
			refuse("targets: %q is not of the form host:port", t)
		}
	}
	for name := range j.Labels {
		if isInternal(name) || !model.UTF8Validation.IsValidLabelName(name) {
			refuse("labels: %q is no label's name", name)
		}
	}
	if j.Scheme != "" && j.Scheme != "http" && j.Scheme != "https" {
		refuse("scheme: %q, must be http or https", j.Scheme)
	}
	if j.TokenFile != "" && j.Scheme != "https" && !j.local() {
		refuse("token_file: would be sent unencrypted; use scheme: https")
	}
	if j.Path != "" && !strings.HasPrefix(j.Path, "/") {
		refuse("path: %q does not begin with /", j.Path)
	}
	if _, err := model.ToEscapingScheme(j.MetricNameEscapingScheme); err != nil && j.MetricNameEscapingScheme != "" {
		refuse("metric_name_escaping_scheme: %q, must be allow-utf-8, underscores, dots or values", j.MetricNameEscapingScheme)
	}
	if (j.TLS.CertFile == "") != (j.TLS.KeyFile == "") {
		refuse("tls: cert_file and key_file belong together")
	}
	errs = append(errs, j.Limits.validate(where+".limits"), validateTimes(where+".", j.interval(c), j.timeout(c)))
	return errors.Join(errs...)
}

// local says whether all targets are on this machine.
func (j *JobConfig) local() bool {
	for _, t := range j.Targets {
		host, _, _ := net.SplitHostPort(t)
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

func (j *JobConfig) interval(c *Config) time.Duration {
	if j.Interval == 0 {
		return c.Interval
	}
	return j.Interval
}

func (j *JobConfig) timeout(c *Config) time.Duration {
	if j.Timeout == 0 {
		return min(c.timeout(), j.interval(c))
	}
	return j.Timeout
}

// or gives limits where there are none.
func (l LimitsConfig) or(other LimitsConfig) LimitsConfig {
	for _, v := range []struct{ own, other *int }{
		{&l.BodyBytes, &other.BodyBytes}, {&l.Samples, &other.Samples}, {&l.Labels, &other.Labels},
		{&l.LabelNameLengthBytes, &other.LabelNameLengthBytes}, {&l.LabelValueLengthBytes, &other.LabelValueLengthBytes},
	} {
		if *v.own == 0 {
			*v.own = *v.other
		}
	}
	return l
}

func (l LimitsConfig) ofPage() limits {
	return limits{samples: l.Samples, labels: l.Labels, labelNameLength: l.LabelNameLengthBytes, labelValueLength: l.LabelValueLengthBytes}
}

// maxBody is the bound of one body: without a limit it is that of all.
func (c *Config) maxBody(l LimitsConfig) int {
	if l.BodyBytes == 0 {
		return int(min(c.MaxPageBytes, 1<<30))
	}
	return l.BodyBytes
}

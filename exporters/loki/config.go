package loki

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
)

const (
	pushPath = "/loki/api/v1/push"
	// maxLabels is Loki's default max_label_names_per_series.
	maxLabels = 15
	// maxTenantBytes is Loki's limit for X-Scope-OrgID.
	maxTenantBytes = 150
	tenantHeader   = "X-Scope-OrgID"
)

// Config is what a user writes under exporters::loki.
type Config struct {
	// ClientConfig holds endpoint, TLS, auth, headers and timeout (of one
	// push). The endpoint is Loki's base URL, or the whole push URL. Not
	// embedded: its Unmarshal method would become Config's and leave out the
	// other keys.
	ClientConfig confighttp.ClientConfig `mapstructure:",squash"`

	// Retry spaces the attempts while Loki cannot take the logs.
	Retry configretry.BackOffConfig `mapstructure:"retry_on_failure"`

	// Labels maps the name of each stream label to the attribute it is read
	// from: of the resource, else of the record. An empty attribute takes a
	// default label away.
	Labels map[string]string `mapstructure:"labels"`

	// Tenant is sent as X-Scope-OrgID unless Tenants has the namespace; empty
	// sends no header.
	Tenant string `mapstructure:"tenant"`

	// Tenants maps a Kubernetes namespace to the tenant of its logs.
	Tenants map[string]string `mapstructure:"tenants"`
}

func createDefaultConfig() component.Config {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = 30 * time.Second
	// Every agent's batch is pushed by a goroutine of its own; Go's default of
	// two idle connections would open and close one per push.
	keepalive := confighttp.NewDefaultKeepaliveClientConfig()
	keepalive.MaxIdleConnsPerHost = 64
	client.Keepalive = configoptional.Some(keepalive)
	retry := configretry.NewDefaultBackOffConfig()
	retry.MaxElapsedTime = 0 // the sender's context is the only limit: giving up loses logs
	return &Config{
		ClientConfig: client,
		Retry:        retry,
		Labels: map[string]string{
			"cluster":      "k8s.cluster.name",
			"namespace":    "k8s.namespace.name",
			"pod":          "k8s.pod.name",
			"container":    "k8s.container.name",
			"service_name": "service.name",
			"node":         "k8s.node.name",
			"stream":       "log.iostream",
		},
	}
}

// Validate names every wrong key with its value and bound.
func (c *Config) Validate() error {
	errs := []error{c.validateTenants(), c.validateLabels()}
	if _, err := c.pushURL(); err != nil {
		errs = append(errs, err)
	}
	if c.ClientConfig.Compression != "" {
		errs = append(errs, fmt.Errorf("compression: must be empty, is %q: a push is snappy-compressed by Loki's protocol", c.ClientConfig.Compression))
	}
	if c.ClientConfig.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout: must be above 0, is %s: a Loki that hangs would hold the logs for ever", c.ClientConfig.Timeout))
	}
	return errors.Join(errs...)
}

func (c *Config) validateTenants() error {
	var errs []error
	if err := checkTenant(c.Tenant); err != nil {
		errs = append(errs, fmt.Errorf("tenant: %w", err))
	}
	for namespace, tenant := range c.Tenants {
		if err := checkTenant(tenant); err != nil {
			errs = append(errs, fmt.Errorf("tenants::%s: %w", namespace, err))
		}
	}
	for name := range c.ClientConfig.Headers.Iter {
		if http.CanonicalHeaderKey(name) == http.CanonicalHeaderKey(tenantHeader) {
			errs = append(errs, fmt.Errorf("headers::%s: set tenant instead: a header would override the tenants rule", name))
		}
	}
	return errors.Join(errs...)
}

// checkTenant holds the tenant to Loki's rule for ids: anything else is
// answered with 400 for every push.
func checkTenant(tenant string) error {
	if len(tenant) > maxTenantBytes {
		return fmt.Errorf("must have at most %d bytes, has %d", maxTenantBytes, len(tenant))
	}
	if tenant == "." || tenant == ".." {
		return fmt.Errorf("must not be %q", tenant)
	}
	for _, r := range tenant {
		if !isTenantRune(r) {
			return fmt.Errorf("must consist of letters, digits and !-_.*'(), is %q", tenant)
		}
	}
	return nil
}

func isTenantRune(r rune) bool {
	switch r {
	case '!', '-', '_', '.', '*', '\'', '(', ')':
		return true
	}
	return isAlphanumeric(r)
}

func (c *Config) validateLabels() error {
	var errs []error
	used := 0
	for name, attribute := range c.Labels {
		if attribute != "" {
			used++
		}
		if !isLabelName(name) {
			errs = append(errs, fmt.Errorf("labels::%s: name must match [a-zA-Z_][a-zA-Z0-9_]* and not begin with __", name))
		}
	}
	if used > maxLabels {
		errs = append(errs, fmt.Errorf("labels: must be at most %d (Loki refuses more), are %d", maxLabels, used))
	}
	return errors.Join(errs...)
}

func isLabelName(name string) bool {
	for i, r := range name {
		if r != '_' && !isAlphanumeric(r) || i == 0 && r >= '0' && r <= '9' {
			return false
		}
	}
	// Loki keeps names with two leading underscores for itself.
	return name != "" && (len(name) < 2 || name[:2] != "__")
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// pushURL is the endpoint with Loki's push path where it has none.
func (c *Config) pushURL() (string, error) {
	if c.ClientConfig.Endpoint == "" {
		return "", errors.New("endpoint: must be set, for example http://loki:3100")
	}
	u, err := url.Parse(c.ClientConfig.Endpoint)
	if err != nil {
		return "", fmt.Errorf("endpoint: parse URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("endpoint: must be a URL such as http://loki:3100, is %q", c.ClientConfig.Endpoint)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = pushPath
	}
	return u.String(), nil
}

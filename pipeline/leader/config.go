package leader

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
)

// Config is what users write.
type Config struct {
	// Lease is the name of the Lease; empty: this process always leads.
	Lease string `mapstructure:"lease"`
	// Namespace has the Lease; empty: the pod's own.
	Namespace string `mapstructure:"namespace"`
	// Identity tells the replicas apart; empty: the host's name, which is the pod's.
	Identity string `mapstructure:"identity"`
	// LeaseDuration is how long after a leader's last sign of life another one
	// takes over.
	LeaseDuration time.Duration `mapstructure:"lease_duration"`
	// Kubeconfig says how to reach the API server from outside a cluster;
	// without it the pod's service account does.
	Kubeconfig string `mapstructure:"kubeconfig"`
}

func defaultConfig() component.Config { return &Config{LeaseDuration: 15 * time.Second} }

// Validate names each key that cannot be worked with, its value and the bound.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Lease) > 253 || strings.ContainsAny(c.Lease, "/ ") {
		errs = append(errs, fmt.Errorf("lease: %.300q is not an object's name", c.Lease))
	}
	// A Lease counts in whole seconds.
	if c.LeaseDuration < 3*time.Second || c.LeaseDuration > time.Hour || c.LeaseDuration%time.Second != 0 {
		errs = append(errs, fmt.Errorf("lease_duration: %v is not in whole seconds between 3s and 1h", c.LeaseDuration))
	}
	return errors.Join(errs...)
}

// renewDeadline is when a leader that cannot renew gives up: early enough to
// have ended its work when another one may begin.
func (c *Config) renewDeadline() time.Duration { return c.LeaseDuration * 2 / 3 }

// retryPeriod is the time between two requests.
func (c *Config) retryPeriod() time.Duration { return c.LeaseDuration * 2 / 15 }

// namespaceFile is where Kubernetes tells a pod its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func (c *Config) namespace() (string, error) {
	if c.Namespace != "" {
		return c.Namespace, nil
	}
	text, err := os.ReadFile(namespaceFile)
	if err != nil {
		return "", fmt.Errorf("namespace: is empty and the pod's own cannot be read: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (c *Config) identity() (string, error) {
	if c.Identity != "" {
		return c.Identity, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("identity: is empty and the host's name cannot be read: %w", err)
	}
	return name, nil
}

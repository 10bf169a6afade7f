package kubeevents

import (
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/component"
)

// Config is the user's part of the receiver.
type Config struct {
	// Leader is the id of the extension that says when to work; without it
	// always.
	Leader *component.ID `mapstructure:"leader"`
	// Kubeconfig says how to reach the API server from outside a cluster;
	// without it the pod's service account does.
	Kubeconfig string `mapstructure:"kubeconfig"`
	// Lease is the name of the Lease that remembers up to where events were
	// sent, and Namespace where it is. Without a name every start, and every
	// new leader, sends again what the API server still has.
	Lease     string `mapstructure:"lease"`
	Namespace string `mapstructure:"namespace"`
}

// Validate names each key that cannot be worked with, its value and the bound.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Lease) > 253 || strings.ContainsAny(c.Lease, "/ ") {
		errs = append(errs, fmt.Errorf("lease: %.300q is not an object's name", c.Lease))
	}
	if c.Lease != "" && c.Namespace == "" {
		errs = append(errs, errors.New("namespace: is empty, must be that of the lease"))
	}
	return errors.Join(errs...)
}

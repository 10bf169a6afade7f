package kubestate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
)

// What a receiver tells of.
const (
	scopeNode    = "node"    // the pods of one node
	scopeCluster = "cluster" // pods of no node, and everything else
	scopeAll     = "all"     // everything
)

// Config is the user's part of the receiver.
type Config struct {
	// Scope is node, cluster or all. Agents with scope node and one leader with
	// scope cluster tell of a whole cluster; so does one leader with scope all.
	Scope string `mapstructure:"scope"`
	// Node is the name of the node, for scope node.
	Node string `mapstructure:"node"`
	// Leader is the id of the extension that says when to work; without it
	// always.
	Leader *component.ID `mapstructure:"leader"`
	// Kubeconfig says how to reach the API server from outside a cluster;
	// without it the pod's service account does.
	Kubeconfig string `mapstructure:"kubeconfig"`
	// CollectionInterval is the time between two points of a series.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`
	// Resources are the plurals of those to watch; empty: all but those of
	// extraKinds.
	Resources []string `mapstructure:"resources"`
	// MetricLabelsAllowlist and MetricAnnotationsAllowlist name, by resource, the
	// keys of the objects' labels and annotations that the families *_labels
	// and *_annotations show; "*" stands for every key or every resource.
	MetricLabelsAllowlist      map[string][]string `mapstructure:"metric_labels_allowlist"`
	MetricAnnotationsAllowlist map[string][]string `mapstructure:"metric_annotations_allowlist"`
	// CustomResourceState says what to tell of custom resources; scope node has none.
	CustomResourceState CustomResourceState `mapstructure:"custom_resource_state"`
	// MaxBytes bounds what is kept of all objects.
	MaxBytes int64 `mapstructure:"max_bytes"`
}

func defaultConfig() *Config {
	return &Config{
		Scope:              scopeNode,
		CollectionInterval: 30 * time.Second, // as kube-prometheus scrapes kube-state-metrics
		MaxBytes:           256 << 20,        // about 100,000 pods
	}
}

// Validate names each key that cannot be worked with, its value and the bound.
func (c *Config) Validate() error {
	var errs []error
	switch c.Scope {
	case scopeNode, scopeCluster, scopeAll:
	default:
		errs = append(errs, fmt.Errorf("scope: %q, must be %s, %s or %s", c.Scope, scopeNode, scopeCluster, scopeAll))
	}
	if c.Scope == scopeNode && c.Leader != nil {
		errs = append(errs, fmt.Errorf("leader: %q with scope node, whose objects no other process tells of", c.Leader))
	}
	if c.Scope != scopeNode && c.Node != "" {
		errs = append(errs, fmt.Errorf("node: %q with scope %s, must be empty", c.Node, c.Scope))
	}
	if strings.ContainsAny(c.Node, ",=!\\") {
		errs = append(errs, fmt.Errorf("node: %q is not a node's name", c.Node))
	}
	if c.CollectionInterval < 100*time.Millisecond || c.CollectionInterval > time.Hour {
		errs = append(errs, fmt.Errorf("collection_interval: %v is not between 100ms and 1h", c.CollectionInterval))
	}
	if c.Scope == scopeNode && len(c.CustomResourceState.Spec.Resources) > 0 {
		errs = append(errs, errors.New("custom_resource_state: is there with scope node, whose process tells of pods only"))
	}
	if c.MaxBytes < 1<<20 {
		errs = append(errs, fmt.Errorf("max_bytes: %d is under the least of 1048576", c.MaxBytes))
	}
	return errors.Join(append(errs, c.validateResources()...)...)
}

func (c *Config) validateResources() (errs []error) {
	known := []string{"pods"}
	for _, k := range append(builtin(), extraKinds()...) {
		known = append(known, k.resource)
	}
	check := func(key, resource string) {
		if !slices.Contains(known, resource) {
			errs = append(errs, fmt.Errorf("%s: %q is none of %s", key, resource, strings.Join(known, ", ")))
		}
	}
	for _, resource := range c.Resources {
		check("resources", resource)
	}
	for key, list := range map[string]map[string][]string{
		"metric_labels_allowlist": c.MetricLabelsAllowlist, "metric_annotations_allowlist": c.MetricAnnotationsAllowlist,
	} {
		for resource := range list {
			if resource != "*" {
				check(key, resource)
			}
		}
	}
	return errs
}

// kinds are those to watch, pods first.
func (c *Config) kinds() []*kind {
	all := []*kind{pods()}
	if c.Scope != scopeNode {
		all = append(all, builtin()...)
	}
	if len(c.Resources) == 0 {
		return all
	}
	if c.Scope != scopeNode {
		all = append(all, extraKinds()...)
	}
	return slices.DeleteFunc(all, func(k *kind) bool { return !slices.Contains(c.Resources, k.resource) })
}

// selector is the selector of fields for a kind.
func (c *Config) selector(k *kind) string {
	if k.resource != "pods" || c.Scope == scopeAll {
		return ""
	}
	return "spec.nodeName=" + c.Node // empty in scope cluster: pods of no node
}

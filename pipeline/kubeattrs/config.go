package kubeattrs

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
)

// maxKeys bounds the labels and the annotations that are copied: each is an
// attribute of every resource.
const maxKeys = 64

// Config is what users write.
type Config struct {
	// Pods is the id of the kubepods extension; without it only node and cluster are added.
	Pods *component.ID `mapstructure:"pods"`
	// Cluster is k8s.cluster.name; empty adds none.
	Cluster string `mapstructure:"cluster"`
	// Node is k8s.node.name; empty takes the pod's.
	Node string `mapstructure:"node"`
	// Labels and Annotations are keys of the pod that become
	// k8s.pod.label.<key> and k8s.pod.annotation.<key>.
	Labels      []string `mapstructure:"labels"`
	Annotations []string `mapstructure:"annotations"`
}

func defaultConfig() component.Config { return &Config{} }

// Validate checks the lists.
func (c *Config) Validate() error {
	return errors.Join(validateKeys("labels", c.Labels), validateKeys("annotations", c.Annotations))
}

func validateKeys(name string, keys []string) error {
	if len(keys) > maxKeys {
		return fmt.Errorf("%s: %d keys, must be at most %d", name, len(keys), maxKeys)
	}
	for i, key := range keys {
		if key == "" {
			return fmt.Errorf("%s: key %d is empty", name, i+1)
		}
	}
	return nil
}

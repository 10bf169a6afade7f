package kubestate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v3"
)

// CustomResourceState is a configuration file of kube-state-metrics'
// --custom-resource-state-config, word for word:
// https://github.com/kubernetes/kube-state-metrics/blob/v2.18.0/docs/metrics/extend/customresourcestate-metrics.md
type CustomResourceState struct {
	Kind string             `yaml:"kind" mapstructure:"kind"`
	Spec CustomResourceSpec `yaml:"spec" mapstructure:"spec"`
}

// CustomResourceSpec lists the custom resources to tell of.
type CustomResourceSpec struct {
	Resources []CustomResource `yaml:"resources" mapstructure:"resources"`
}

// CustomResource says what to tell of one kind of resource, or of all of a group.
type CustomResource struct {
	CustomLabels     `yaml:",inline" mapstructure:",squash"`
	GroupVersionKind GroupVersionKind `yaml:"groupVersionKind" mapstructure:"groupVersionKind"`
	// ResourcePlural need not be given: the API server knows it.
	ResourcePlural string `yaml:"resourcePlural" mapstructure:"resourcePlural"`
	// MetricNamePrefix is kube_customresource unless given.
	MetricNamePrefix *string        `yaml:"metricNamePrefix" mapstructure:"metricNamePrefix"`
	Metrics          []CustomMetric `yaml:"metrics" mapstructure:"metrics"`
	// ErrorLogV above 0 keeps what a path leads to and is no value of the
	// metric out of the log. It is counted all the same.
	ErrorLogV int `yaml:"errorLogV" mapstructure:"errorLogV"`
}

// GroupVersionKind names a kind. Version and kind may be "*" or empty: all that
// the API server has.
type GroupVersionKind struct {
	Group   string `yaml:"group" mapstructure:"group"`
	Version string `yaml:"version" mapstructure:"version"`
	Kind    string `yaml:"kind" mapstructure:"kind"`
}

// CustomLabels are labels of all series of a resource or a metric: fixed ones,
// and ones read from the object.
type CustomLabels struct {
	CommonLabels   map[string]string   `yaml:"commonLabels" mapstructure:"commonLabels"`
	LabelsFromPath map[string][]string `yaml:"labelsFromPath" mapstructure:"labelsFromPath"`
}

// CustomMetric is a family.
type CustomMetric struct {
	CustomLabels `yaml:",inline" mapstructure:",squash"`
	Name         string     `yaml:"name" mapstructure:"name"`
	Help         string     `yaml:"help" mapstructure:"help"`
	Each         CustomEach `yaml:"each" mapstructure:"each"`
	ErrorLogV    int        `yaml:"errorLogV" mapstructure:"errorLogV"`
}

// CustomEach says how the points of a family are made; of gauge, info and
// stateSet, the one that type names is there.
type CustomEach struct {
	Type     string          `yaml:"type" mapstructure:"type"`
	Gauge    *CustomGauge    `yaml:"gauge" mapstructure:"gauge"`
	Info     *CustomInfo     `yaml:"info" mapstructure:"info"`
	StateSet *CustomStateSet `yaml:"stateSet" mapstructure:"stateSet"`
}

// CustomPaths lead from the object to what has the points, and from there to
// their labels.
type CustomPaths struct {
	Path           []string            `yaml:"path" mapstructure:"path"`
	LabelsFromPath map[string][]string `yaml:"labelsFromPath" mapstructure:"labelsFromPath"`
}

// CustomGauge makes points of numbers.
type CustomGauge struct {
	CustomPaths  `yaml:",inline" mapstructure:",squash"`
	LabelFromKey string   `yaml:"labelFromKey" mapstructure:"labelFromKey"`
	ValueFrom    []string `yaml:"valueFrom" mapstructure:"valueFrom"`
	NilIsZero    bool     `yaml:"nilIsZero" mapstructure:"nilIsZero"`
}

// CustomInfo makes points of labels.
type CustomInfo struct {
	CustomPaths  `yaml:",inline" mapstructure:",squash"`
	LabelFromKey string `yaml:"labelFromKey" mapstructure:"labelFromKey"`
}

// CustomStateSet makes a point for each state of a list.
type CustomStateSet struct {
	CustomPaths `yaml:",inline" mapstructure:",squash"`
	List        []string `yaml:"list" mapstructure:"list"`
	LabelName   string   `yaml:"labelName" mapstructure:"labelName"`
	ValueFrom   []string `yaml:"valueFrom" mapstructure:"valueFrom"`
}

// Unmarshal reads the configuration as YAML and not as the collector does, so
// that the files people have mean the same: an index may be a number, a label's
// value may look like one.
func (c *CustomResourceState) Unmarshal(conf *confmap.Conf) error {
	text, err := yaml.Marshal(conf.ToStringMap())
	if err != nil {
		return fmt.Errorf("write as YAML: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Validate names each key that cannot be worked with and its value.
func (c *CustomResourceState) Validate() error {
	var errs []error
	if c.Kind != "" && c.Kind != "CustomResourceStateMetrics" {
		errs = append(errs, fmt.Errorf("kind: %q, must be CustomResourceStateMetrics", c.Kind))
	}
	for i := range c.Spec.Resources {
		r := &c.Spec.Resources[i]
		if err := r.validate(); err != nil {
			errs = append(errs, fmt.Errorf("spec.resources[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

func (r *CustomResource) validate() error {
	var errs []error
	if g := r.GroupVersionKind.Group; g == "" || g == anything {
		errs = append(errs, fmt.Errorf("groupVersionKind.group: %q, must name a group", g))
	}
	for name, value := range map[string]string{"group": r.GroupVersionKind.Group, "version": r.GroupVersionKind.Version} {
		if strings.ContainsAny(value, "/?#%") {
			errs = append(errs, fmt.Errorf("groupVersionKind.%s: %q has a character that no %[1]s has", name, value))
		}
	}
	if len(r.Metrics) == 0 {
		errs = append(errs, errors.New("metrics: is empty, must have at least one"))
	}
	_, err := compileCustom(r, r.GroupVersionKind)
	return errors.Join(append(errs, err)...)
}

// validLabels refuses names of labels that are written as they are.
func validLabels(key string, names ...string) error {
	for _, name := range names {
		if name != "" && !model.LegacyValidation.IsValidLabelName(name) {
			return fmt.Errorf("%s: %q is no name of a label", key, name)
		}
	}
	return nil
}

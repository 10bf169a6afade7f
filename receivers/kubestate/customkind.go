package kubestate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// customFamily makes the points of one metric of the configuration.
type customFamily struct {
	name, help, typ string
	path            valuePath
	points          func(v any) ([]customPoint, error)
	common          map[string]string
	labels          customLabels // of the object
	quiet           bool
}

// compileCustom checks a resource's metrics and makes families for a kind of it.
func compileCustom(r *CustomResource, kind GroupVersionKind) ([]customFamily, error) {
	var families []customFamily
	var errs []error
	for i := range r.Metrics {
		f, err := compileMetric(r, &r.Metrics[i], kind)
		if err != nil {
			errs = append(errs, fmt.Errorf("metrics[%d] (%s): %w", i, r.Metrics[i].Name, err))
		}
		families = append(families, f)
	}
	return families, errors.Join(errs...)
}

func compileMetric(r *CustomResource, m *CustomMetric, kind GroupVersionKind) (customFamily, error) {
	f, err := compileEach(&m.Each)
	errs := []error{err}
	f.name, f.help = r.prefix()+m.Name, m.Help
	if !model.LegacyValidation.IsValidMetricName(f.name) {
		errs = append(errs, fmt.Errorf("name: %q is no name of a metric", f.name))
	}
	f.quiet = m.ErrorLogV > 0 || r.ErrorLogV > 0
	f.common = map[string]string{}
	maps.Copy(f.common, r.CommonLabels)
	// Not for the user to say, but for a metric to override.
	f.common["customresource_group"] = kind.Group
	f.common["customresource_version"] = kind.Version
	f.common["customresource_kind"] = kind.Kind
	maps.Copy(f.common, m.CommonLabels)
	errs = append(errs, validLabels("commonLabels", slices.Sorted(maps.Keys(f.common))...))
	paths := maps.Clone(r.LabelsFromPath)
	if paths == nil {
		paths = map[string][]string{}
	}
	maps.Copy(paths, m.LabelsFromPath)
	if f.labels, err = parseCustomLabels(paths); err != nil {
		errs = append(errs, fmt.Errorf("labelsFromPath: %w", err))
	}
	return f, errors.Join(errs...)
}

// prefix is what comes before the names of metrics, "_" included.
func (r *CustomResource) prefix() string {
	switch {
	case r.MetricNamePrefix == nil:
		return "kube_customresource_"
	case *r.MetricNamePrefix == "":
		return ""
	}
	return *r.MetricNamePrefix + "_"
}

func compileEach(e *CustomEach) (customFamily, error) {
	switch typ := strings.ToLower(e.Type); {
	case typ == "gauge" && e.Gauge != nil:
		return e.Gauge.compile()
	case typ == "info" && e.Info != nil:
		return e.Info.compile()
	case typ == "stateset" && e.StateSet != nil:
		return e.StateSet.compile()
	case typ == "gauge", typ == "info", typ == "stateset":
		return customFamily{}, fmt.Errorf("each: type is %s, but there is nothing of that name", e.Type)
	}
	return customFamily{}, fmt.Errorf("each.type: %q, must be gauge, info or stateSet", e.Type)
}

func (g *CustomGauge) compile() (customFamily, error) {
	path, labels, err := g.CustomPaths.compile()
	value, valueErr := parsePath(g.ValueFrom)
	made := &customGauge{labels: labels, valueFrom: value, nilIsZero: g.NilIsZero, labelFromKey: g.LabelFromKey}
	return customFamily{path: path, points: made.points},
		within("each.gauge", err, under("valueFrom", valueErr), validLabels("labelFromKey", g.LabelFromKey))
}

func (i *CustomInfo) compile() (customFamily, error) {
	path, labels, err := i.CustomPaths.compile()
	made := &customInfo{labels: labels, labelFromKey: i.LabelFromKey}
	return customFamily{typ: info, path: path, points: made.points},
		within("each.info", err, validLabels("labelFromKey", i.LabelFromKey))
}

func (s *CustomStateSet) compile() (customFamily, error) {
	path, labels, err := s.CustomPaths.compile()
	value, valueErr := parsePath(s.ValueFrom)
	made := &customStates{labels: labels, valueFrom: value, labelName: s.LabelName, states: s.List}
	nameErr := validLabels("labelName", s.LabelName)
	if s.LabelName == "" {
		nameErr = errors.New("labelName: is empty, must name the label with the state")
	}
	return customFamily{typ: stateset, path: path, points: made.points},
		within("each.stateSet", err, under("valueFrom", valueErr), nameErr)
}

func (p *CustomPaths) compile() (valuePath, customLabels, error) {
	path, pathErr := parsePath(p.Path)
	labels, labelsErr := parseCustomLabels(p.LabelsFromPath)
	return path, labels, errors.Join(under("path", pathErr), under("labelsFromPath", labelsErr))
}

func within(key string, errs ...error) error { return under(key, errors.Join(errs...)) }

func under(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", key, err)
}

// write makes the points of an object.
func (f *customFamily) write(w *writer, object map[string]any) {
	points, err := f.points(f.path.of(object))
	if err != nil && w.complain != nil {
		w.complain(f, err)
	}
	base := maps.Clone(f.common)
	f.labels.add(base, object)
	for _, p := range points {
		labels := maps.Clone(base)
		maps.Copy(labels, p.labels)
		names := slices.Sorted(maps.Keys(labels))
		values := make([]string, len(names))
		for i, name := range names {
			values[i] = labels[name]
		}
		w.putNamed(p.value, names, values)
	}
}

// customKind is the kind of a resource of the API server. Metrics of the same
// name, which may differ in their labels, are one family.
func customKind(r *CustomResource, plural string, gvk GroupVersionKind) *kind {
	families, err := compileCustom(r, gvk)
	if err != nil {
		families = nil // Validate has said so; the kind is watched for nothing
	}
	s := spec[unstructured.Unstructured]{
		resource: plural + "." + gvk.Group, goType: "*unstructured.Unstructured", encoding: kubeapi.AsJSON, optional: true,
		path:     "apis/" + gvk.Group + "/" + gvk.Version + "/" + plural,
		identify: func(*unstructured.Unstructured) []string { return nil },
		decode: func(data []byte, o *unstructured.Unstructured) error {
			return json.Unmarshal(data, &o.Object)
		},
	}
	at := map[string]int{}
	for i := range families {
		f := &families[i]
		write := func(w *writer, o *unstructured.Unstructured) { f.write(w, o.Object) }
		if j, ok := at[f.name]; ok {
			first := s.families[j].write
			s.families[j].write = func(w *writer, o *unstructured.Unstructured) { first(w, o); write(w, o) }
			continue
		}
		at[f.name] = len(s.families)
		s.families = append(s.families, family[unstructured.Unstructured]{
			name: f.name, help: f.help, typ: f.typ, open: true, write: write,
		})
	}
	return newKind(s)
}

// anything stands for every version or kind.
const anything = "*"

// matches tells whether a resource of the API server is meant.
func (r *CustomResource) matches(found *metav1.APIResource) bool {
	if strings.Contains(found.Name, "/") || !slices.Contains(found.Verbs, "watch") {
		return false // status, scale, or nothing to watch
	}
	want := r.GroupVersionKind.Kind
	return (want == "" || want == anything || want == found.Kind) &&
		(r.ResourcePlural == "" || r.ResourcePlural == found.Name)
}

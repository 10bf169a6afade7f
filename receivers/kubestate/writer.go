package kubestate

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// writer packs the series of one object after the other. Of one goroutine.
type writer struct {
	allow   allowed // what the allow lists say of the kind
	kind    *kind
	family  int // index of the one being written
	packer  packer
	scratch []string
	// complain is told of what a custom resource has where the configuration
	// expects something else.
	complain func(*customFamily, error)
}

// begin starts an object.
func (w *writer) begin(k *kind, identity []string) {
	w.kind = k
	w.packer.begin(k, identity)
}

// put writes a point of the family with the values of its labels. A point
// whose labels another one had is left out: the first one stands.
func (w *writer) put(value float64, labels ...string) {
	w.packer.open(w.family)
	for i, label := range w.kind.families[w.family].labels {
		// A value too few is a mistake in a table of families; it shows as a
		// missing label in the tests of the kind and costs no more than that.
		if i < len(labels) {
			w.packer.value(&w.kind.words, label, labels[i])
		} else {
			w.packer.text("")
		}
	}
	w.packer.close(value)
}

// putNamed writes a point of an open family.
func (w *writer) putNamed(value float64, names, values []string) {
	w.packer.open(w.family)
	w.packer.count(len(names))
	for i, name := range names {
		w.packer.text(name)
		w.packer.text(values[i])
	}
	w.packer.close(value)
}

// flag writes 1 or 0.
func (w *writer) flag(b bool, labels ...string) {
	w.put(number(b), labels...)
}

// time writes seconds since 1970, and nothing for no time.
func (w *writer) time(t metav1.Time, labels ...string) {
	if !t.IsZero() {
		w.put(float64(t.Unix()), labels...)
	}
}

// timePtr is time for the times that may be nil.
func (w *writer) timePtr(t *metav1.Time, labels ...string) {
	if t != nil {
		w.time(*t, labels...)
	}
}

// int32Ptr writes a number if there is one.
func (w *writer) int32Ptr(n *int32, labels ...string) {
	if n != nil {
		w.put(float64(*n), labels...)
	}
}

// condition writes one point for each status a condition can have; the status
// is the last label.
func (w *writer) condition(status corev1.ConditionStatus, labels ...string) {
	for _, s := range [...]corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown} {
		w.scratch = append(append(w.scratch[:0], labels...), strings.ToLower(string(s)))
		w.flag(s == status, w.scratch...)
	}
}

// states writes one point for each state that there can be; the state is the
// only label.
func (w *writer) states(state string, all ...string) {
	for _, s := range all {
		w.flag(s == state, s)
	}
}

// owners writes the labels owner_kind, owner_name and owner_is_controller of
// each owner, or one point with them empty.
func (w *writer) owners(owners []metav1.OwnerReference) {
	if len(owners) == 0 {
		w.put(1)
	}
	for _, o := range owners {
		controller := "false"
		if o.Controller != nil && *o.Controller {
			controller = "true"
		}
		w.put(1, o.Kind, o.Name, controller)
	}
}

// labels writes the point of a family *_labels: those that the allow list has
// of the object's, none at all when it has nothing for the kind.
func (w *writer) labels(all map[string]string) {
	if w.allow.labels.any() {
		names, values := w.allow.labels.pick("label", all)
		w.putNamed(1, names, values)
	}
}

// annotations is labels for a family *_annotations.
func (w *writer) annotations(all map[string]string) {
	if w.allow.annotations.any() {
		names, values := w.allow.annotations.pick("annotation", all)
		w.putNamed(1, names, values)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// quantity gives the number that kube-state-metrics gives: to thousandths where
// they fit.
func quantity(q resource.Quantity) float64 {
	if q.Value() > resource.MaxMilliValue {
		return float64(q.Value())
	}
	return float64(q.MilliValue()) / 1000
}

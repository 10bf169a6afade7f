package kubestate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// The values of the label "unit".
const (
	unitCore    = "core"
	unitByte    = "byte"
	unitInteger = "integer"
)

// measure is one resource of a list.
type measure struct {
	label, unit string
	amount      resource.Quantity
}

// measured gives the resources of a list whose unit is known, by name.
func measured(list corev1.ResourceList) []measure {
	all := make([]measure, 0, len(list))
	for name, amount := range list {
		if unit := unitOf(name); unit != "" {
			all = append(all, measure{sanitize(string(name)), unit, amount})
		}
	}
	slices.SortFunc(all, func(a, b measure) int { return strings.Compare(a.label, b.label) })
	return all
}

// unitOf is "" for resources that kube-state-metrics does not tell of.
func unitOf(name corev1.ResourceName) string {
	text := string(name)
	switch {
	case name == corev1.ResourceCPU:
		return unitCore
	case name == corev1.ResourceMemory, name == corev1.ResourceStorage, name == corev1.ResourceEphemeralStorage,
		strings.HasPrefix(text, corev1.ResourceHugePagesPrefix), strings.HasPrefix(text, corev1.ResourceAttachableVolumesPrefix):
		return unitByte
	case isExtended(text):
		return unitInteger
	}
	return ""
}

// isExtended tells of resources that are not Kubernetes' own, as GPUs.
func isExtended(name string) bool {
	if !strings.Contains(name, "/") || strings.Contains(name, corev1.ResourceDefaultNamespacePrefix) ||
		strings.HasPrefix(name, corev1.DefaultResourceRequestsPrefix) {
		return false
	}
	// As a quota it must be a name, too.
	return len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+name)) == 0
}

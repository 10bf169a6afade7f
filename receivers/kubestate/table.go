package kubestate

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tableRow is an object as kubectl prints it, with its metadata. The columns
// are those of the API server for the kind, without their names.
type tableRow struct {
	Cells    []any                        `json:"cells"`
	Metadata metav1.PartialObjectMetadata `json:"object"`
}

// GetNamespace returns the object's namespace.
func (r *tableRow) GetNamespace() string { return r.Metadata.Namespace }

// GetName returns the object's name.
func (r *tableRow) GetName() string { return r.Metadata.Name }

// GetResourceVersion returns the object's version.
func (r *tableRow) GetResourceVersion() string { return r.Metadata.ResourceVersion }

// cell gives a column as text; "" for one that is not there.
func (r *tableRow) cell(i int) string {
	if i >= len(r.Cells) {
		return ""
	}
	return fmt.Sprint(r.Cells[i])
}

package kubestate

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// of is *T where T has the metadata of a Kubernetes object.
type of[T any] interface {
	*T
	metav1.Object
}

// namespacedName identifies an object that is in a namespace.
func namespacedName[T any, P of[T]](o *T) []string {
	return []string{P(o).GetNamespace(), P(o).GetName()}
}

// clusterName identifies an object that is in none.
func clusterName[T any, P of[T]](o *T) []string { return []string{P(o).GetName()} }

// The families below are the same for many kinds; noun is what follows "kube_".

func createdFamily[T any, P of[T]](noun string) family[T] {
	return family[T]{
		name: "kube_" + noun + "_created", help: "Unix creation timestamp",
		write: func(w *writer, o *T) { w.time(P(o).GetCreationTimestamp()) },
	}
}

func deletedFamily[T any, P of[T]](noun string) family[T] {
	return family[T]{
		name: "kube_" + noun + "_deletion_timestamp", help: "Unix deletion timestamp",
		write: func(w *writer, o *T) { w.timePtr(P(o).GetDeletionTimestamp()) },
	}
}

func generationFamily[T any, P of[T]](noun string) family[T] {
	return family[T]{
		name:  "kube_" + noun + "_metadata_generation",
		help:  "Sequence number representing a specific generation of the desired state.",
		write: func(w *writer, o *T) { w.put(float64(P(o).GetGeneration())) },
	}
}

// versionFamily says which version of the object is known; title is the kind's
// name with its article, if it has one.
func versionFamily[T any, P of[T]](noun, title string) family[T] {
	return family[T]{
		name: "kube_" + noun + "_metadata_resource_version",
		help: "Resource version representing a specific version of " + title + ".",
		write: func(w *writer, o *T) {
			if v, err := strconv.ParseFloat(P(o).GetResourceVersion(), 64); err == nil {
				w.put(v)
			}
		},
	}
}

func ownerFamily[T any, P of[T]](noun, title string) family[T] {
	return family[T]{
		name: "kube_" + noun + "_owner", help: "Information about the " + title + "'s owner.",
		labels: []string{"owner_kind", "owner_name", "owner_is_controller"},
		write:  func(w *writer, o *T) { w.owners(P(o).GetOwnerReferences()) },
	}
}

func labelsFamily[T any, P of[T]](noun string) family[T] {
	return family[T]{
		name: "kube_" + noun + "_labels", help: "Kubernetes labels converted to Prometheus labels.", open: true,
		write: func(w *writer, o *T) { w.labels(P(o).GetLabels()) },
	}
}

func annotationsFamily[T any, P of[T]](noun string) family[T] {
	return family[T]{
		name: "kube_" + noun + "_annotations", help: "Kubernetes annotations converted to Prometheus labels.", open: true,
		write: func(w *writer, o *T) { w.annotations(P(o).GetAnnotations()) },
	}
}

// existsFamily is 1 for each object there is.
func existsFamily[T any](noun, help string) family[T] {
	return family[T]{
		name: "kube_" + noun + "_info", help: help,
		write: func(w *writer, _ *T) { w.put(1) },
	}
}

// numberFamily is a number that each object has.
func numberFamily[T any](name, help string, number func(*T) float64) family[T] {
	return family[T]{name: name, help: help, write: func(w *writer, o *T) { w.put(number(o)) }}
}

package containerlogs

import (
	"go.opentelemetry.io/collector/component"

	"github.com/crowsnest-o11y/crowsnest/extensions"
	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// podCache is what the pods extension offers; it is named here since a
// component imports no other.
type podCache interface{ Cache() *kubemeta.Cache }

// podAdmission returns the question whether a tail's pod and container are known, nil when no
// extension is configured. The cache is asked for each time: the extension may
// be started after us.
func podAdmission(id *component.ID, host component.Host) (func(*tail) bool, error) {
	if id == nil {
		return nil, nil
	}
	pods, err := extensions.Find[podCache](host, "pods", *id, "kubepods")
	if err != nil {
		return nil, err
	}
	return func(t *tail) bool {
		cache := pods.Cache()
		if cache == nil {
			return false
		}
		if !cache.Available() {
			return true // nobody will ever know it
		}
		pod, known := cache.ByUID(t.id.uid)
		return known && startKnown(pod, t.id)
	}, nil
}

// startKnown says whether the pod tells all that it will about this start of the
// container. Its id comes a moment after the first lines; if those were sent
// without it, and once more after a crash with it, a store would take them for
// different lines.
func startKnown(pod *kubemeta.Pod, id identity) bool {
	current, ok := pod.Container(id.container)
	if !ok || pod.Finished || current.RestartCount > id.restart {
		return true
	}
	start, ok := pod.ContainerStart(id.container, id.restart)
	return ok && start.ID != ""
}

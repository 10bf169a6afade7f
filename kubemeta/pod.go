package kubemeta

import (
	"net/netip"
	"time"
)

// Pod is one version of a pod. It is shared between goroutines and never
// changes: a new version is a new Pod, so the pointer identifies a version.
type Pod struct {
	UID       string
	Name      string
	Namespace string
	NodeName  string
	// ConfigHash is set for static pods and their mirrors; it is the uid in
	// /var/log/pods paths and cgroup names, where the mirror's UID never shows.
	ConfigHash string
	// IPs are unmapped (never v4 in v6).
	IPs         []netip.Addr
	HostNetwork bool
	// Phase is the status' phase, such as "Running".
	Phase string
	// Finished: phase Succeeded or Failed; its addresses may be in use by another pod.
	Finished bool
	// Ready is the condition of that name: all containers pass their probes.
	Ready bool
	// Labels and Annotations are trimmed, see maxKeptBytes.
	Labels      map[string]string
	Annotations map[string]string
	// Containers are the init, ordinary and ephemeral containers in that
	// order, each as of its last start.
	Containers []Container
	// Earlier are former starts of Containers, newest first, at most maxEarlier.
	Earlier []Container
	// Ports are those that the containers declare, at most maxPorts.
	Ports []Port
	// Owner is the controller of the pod, zero without one.
	Owner Owner
	// Workload is what users think the pod belongs to: the Deployment of a
	// ReplicaSet, the CronJob of a Job, else the Owner.
	Workload  Owner
	CreatedAt time.Time
	StartTime time.Time
}

// Port is one that a container declares.
type Port struct {
	Container string
	Name      string // "" for one without
	Number    uint16
	Protocol  string // TCP, UDP or SCTP
}

// Owner names a controller, such as Deployment "web".
type Owner struct {
	Kind string
	Name string
}

// Container is one start of a container of a pod.
type Container struct {
	Name string
	// ID is what the runtime calls it, without "containerd://"; "" before the first start.
	ID string
	// Image as written in the pod's spec or reported by the runtime.
	Image Image
	// RestartCount is that of this start: the number in the log file's name.
	RestartCount int
	Init         bool
	Ephemeral    bool
}

// Container finds a container by its name; the current start.
func (p *Pod) Container(name string) (*Container, bool) {
	for i := range p.Containers {
		if p.Containers[i].Name == name {
			return &p.Containers[i], true
		}
	}
	return nil, false
}

// ContainerStart finds the start of a container that has this restart count:
// the current one or an earlier one that is still remembered.
func (p *Pod) ContainerStart(name string, restartCount int) (*Container, bool) {
	if c, ok := p.Container(name); ok && c.RestartCount == restartCount {
		return c, true
	}
	for i := range p.Earlier {
		if c := &p.Earlier[i]; c.Name == name && c.RestartCount == restartCount {
			return c, true
		}
	}
	return nil, false
}

// ContainerByID finds a start of a container of this pod by the runtime's id.
func (p *Pod) ContainerByID(id string) (*Container, bool) {
	for _, starts := range [...][]Container{p.Containers, p.Earlier} {
		for i := range starts {
			if starts[i].ID == id {
				return &starts[i], true
			}
		}
	}
	return nil, false
}

// OnlyContainer is the ordinary container of a pod that has but one; init and
// ephemeral containers do not count.
func (p *Pod) OnlyContainer() (*Container, bool) {
	var only *Container
	for i := range p.Containers {
		if c := &p.Containers[i]; !c.Init && !c.Ephemeral {
			if only != nil {
				return nil, false
			}
			only = c
		}
	}
	return only, only != nil
}

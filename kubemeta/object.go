package kubemeta

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// What a pod keeps of its labels and annotations. Annotations may hold 256 KiB
// (kubectl keeps whole manifests in one); none that names a service does.
const (
	maxKeptBytes  = 16 << 10 // keys and values, labels and annotations of a pod together
	maxValueBytes = 1 << 10  // longer values are left out whole: a cut one would be a wrong one
)

// podObject is the part of v1.Pod that identity needs. Decoding into it, and
// not into v1.Pod, is the trimming: what is not named here is never allocated,
// and new fields of the API are ignored.
type podObject struct {
	Metadata podMetadata `json:"metadata"`
	Spec     podSpec     `json:"spec"`
	Status   podStatus   `json:"status"`
}

type podMetadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	CreationTimestamp time.Time         `json:"creationTimestamp"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	OwnerReferences   []struct {
		Kind       string `json:"kind"`
		Name       string `json:"name"`
		Controller bool   `json:"controller"`
	} `json:"ownerReferences"`
}

type podSpec struct {
	NodeName            string          `json:"nodeName"`
	HostNetwork         bool            `json:"hostNetwork"`
	InitContainers      []containerSpec `json:"initContainers"`
	Containers          []containerSpec `json:"containers"`
	EphemeralContainers []containerSpec `json:"ephemeralContainers"`
}

type containerSpec struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	Ports []struct {
		Name          string `json:"name"`
		ContainerPort uint16 `json:"containerPort"`
		Protocol      string `json:"protocol"`
	} `json:"ports"`
}

type podStatus struct {
	Phase  string `json:"phase"`
	PodIP  string `json:"podIP"`
	PodIPs []struct {
		IP string `json:"ip"`
	} `json:"podIPs"`
	StartTime                  time.Time         `json:"startTime"`
	Conditions                 []podCondition    `json:"conditions"`
	InitContainerStatuses      []containerStatus `json:"initContainerStatuses"`
	ContainerStatuses          []containerStatus `json:"containerStatuses"`
	EphemeralContainerStatuses []containerStatus `json:"ephemeralContainerStatuses"`
}

type podCondition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

type containerStatus struct {
	Name         string `json:"name"`
	Image        string `json:"image"`
	ContainerID  string `json:"containerID"`
	RestartCount int    `json:"restartCount"`
	LastState    struct {
		Terminated struct {
			ContainerID string `json:"containerID"`
		} `json:"terminated"`
	} `json:"lastState"`
}

// pod makes the immutable value.
func (o *podObject) pod() *Pod {
	m := &o.Metadata
	p := &Pod{
		UID:         m.UID,
		Name:        m.Name,
		Namespace:   m.Namespace,
		NodeName:    o.Spec.NodeName,
		ConfigHash:  configHash(m.Annotations),
		IPs:         o.Status.addresses(),
		HostNetwork: o.Spec.HostNetwork,
		Phase:       o.Status.Phase,
		Finished:    o.Status.Phase == "Succeeded" || o.Status.Phase == "Failed",
		Ready:       slices.Contains(o.Status.Conditions, podCondition{"Ready", "True"}),
		CreatedAt:   m.CreationTimestamp,
		StartTime:   o.Status.StartTime,
	}
	budget := maxKeptBytes
	p.Labels = trim(m.Labels, &budget)
	p.Annotations = trim(m.Annotations, &budget)
	for _, ref := range m.OwnerReferences {
		if ref.Controller {
			p.Owner = Owner{Kind: ref.Kind, Name: ref.Name}
		}
	}
	p.Workload = workload(p.Owner, m.Labels["pod-template-hash"], p.CreatedAt)
	p.addContainers(o.Spec.InitContainers, o.Status.InitContainerStatuses, Container{Init: true})
	p.addContainers(o.Spec.Containers, o.Status.ContainerStatuses, Container{})
	p.addContainers(o.Spec.EphemeralContainers, o.Status.EphemeralContainerStatuses, Container{Ephemeral: true})
	p.addPorts(o.Spec.InitContainers)
	p.addPorts(o.Spec.Containers)
	return p
}

// maxPorts bounds the ports that a pod keeps.
const maxPorts = 64

func (p *Pod) addPorts(specs []containerSpec) {
	for _, spec := range specs {
		for _, port := range spec.Ports {
			if len(p.Ports) == maxPorts {
				return
			}
			p.Ports = append(p.Ports, Port{Container: spec.Name, Name: port.Name, Number: port.ContainerPort, Protocol: cmp.Or(port.Protocol, "TCP")})
		}
	}
}

// addContainers joins the spec and the status of one kind of containers.
func (p *Pod) addContainers(specs []containerSpec, statuses []containerStatus, kind Container) {
	for _, spec := range specs {
		c := kind
		c.Name, c.Image = spec.Name, ParseImage(spec.Image)
		at := slices.IndexFunc(statuses, func(s containerStatus) bool { return s.Name == spec.Name })
		if at < 0 {
			p.Containers = append(p.Containers, c)
			continue
		}
		status := &statuses[at]
		if c.Image == (Image{}) {
			c.Image = ParseImage(status.Image)
		}
		c.ID, c.RestartCount = bareID(status.ContainerID), status.RestartCount
		p.Containers = append(p.Containers, c)
		// While a container waits for its restart, ID and last state name the same start.
		if last := bareID(status.LastState.Terminated.ContainerID); last != "" && last != c.ID {
			c.ID, c.RestartCount = last, max(c.RestartCount-1, 0)
			p.Earlier = append(p.Earlier, c)
		}
	}
	if len(p.Earlier) > maxEarlier {
		p.Earlier = p.Earlier[:maxEarlier]
	}
}

// configHash is the uid of a static pod. A mirror pod at the API server has it
// in both annotations; a static pod at the kubelet in the second.
func configHash(annotations map[string]string) string {
	if hash := annotations["kubernetes.io/config.mirror"]; hash != "" {
		return hash
	}
	return annotations["kubernetes.io/config.hash"]
}

// addresses are the pod's, unmapped, each once.
func (s *podStatus) addresses() []netip.Addr {
	var addrs []netip.Addr
	add := func(text string) {
		addr, err := netip.ParseAddr(text)
		if addr = addr.Unmap(); err == nil && !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	add(s.PodIP)
	for _, ip := range s.PodIPs {
		add(ip.IP)
	}
	return addrs
}

// bareID cuts the runtime's name off: "containerd://abc" is "abc".
func bareID(id string) string {
	if _, bare, ok := strings.Cut(id, "://"); ok {
		return bare
	}
	return id
}

// trim copies the entries that fit the budget, in the order of their keys so
// that the same pod always keeps the same ones.
func trim(entries map[string]string, budget *int) map[string]string {
	keys := make([]string, 0, len(entries))
	for key, value := range entries {
		if len(value) <= maxValueBytes && key != "kubectl.kubernetes.io/last-applied-configuration" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var kept map[string]string
	for _, key := range keys {
		size := len(key) + len(entries[key])
		if size > *budget {
			continue
		}
		if kept == nil {
			kept = make(map[string]string, len(keys))
		}
		*budget -= size
		kept[key] = entries[key]
	}
	return kept
}

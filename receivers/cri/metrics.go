package cri

import (
	"slices"
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// descriptor is what the runtime says of one of its families.
type descriptor struct {
	help     string
	keys     []string
	nameless bool // it lacks the label name, which is added
}

const (
	memoryUsage = "container_memory_usage_bytes"
	memorySwap  = "container_memory_swap"
)

// metrics takes what the runtime tells under cAdvisor's names already.
func (c *converter) metrics(a answers) {
	descriptors := make(map[string]descriptor, len(a.descriptors))
	for _, d := range a.descriptors {
		descriptors[d.GetName()] = descriptor{strings.TrimSpace(d.GetHelp()), d.GetLabelKeys(), !slices.Contains(d.GetLabelKeys(), "name")}
	}
	swapIsMemory := swapHasMemory(a.metrics)
	for _, pod := range a.metrics {
		for _, m := range pod.GetMetrics() {
			c.metric(descriptors, pod.GetPodSandboxId(), m, 0)
		}
		for _, container := range pod.GetContainerMetrics() {
			memory := uint64(0)
			if swapIsMemory {
				memory = valueOf(container, memoryUsage)
			}
			for _, m := range container.GetMetrics() {
				c.metric(descriptors, container.GetContainerId(), m, memory)
			}
		}
	}
}

// metric takes one sample. One without a descriptor, or with another number of
// labels than that has, is ignored, as CRI wants it.
func (c *converter) metric(descriptors map[string]descriptor, id string, m *cri.Metric, memory uint64) {
	d, known := descriptors[m.GetName()]
	if !known || len(d.keys) != len(m.GetLabelValues()) || m.GetValue() == nil {
		return
	}
	c.buffer = c.buffer[:0]
	for i, key := range d.keys {
		c.buffer = append(c.buffer, label{key, m.GetLabelValues()[i]})
	}
	if d.nameless {
		c.buffer = append(c.buffer, label{"name", id})
	}
	value := m.GetValue().GetValue()
	if m.GetName() == memorySwap {
		value -= min(value, memory)
	}
	k := gauge
	if m.GetMetricType() == cri.MetricType_COUNTER {
		k = counter
	}
	c.page.addOwned(fromMetrics, id, sample{
		name: m.GetName(), help: d.help, kind: k, at: m.GetTimestamp(), value: float64(value), labels: c.buffer,
	})
}

// swapHasMemory tells whether the runtime says memory and swap where it should
// say swap: containerd does on cgroup v1, where the kernel counts them together
// (memory.memsw.usage_in_bytes). Then no container has less swap than memory,
// which is never so where swap is swap.
func swapHasMemory(pods []*cri.PodSandboxMetrics) bool {
	found := false
	for _, pod := range pods {
		for _, container := range pod.GetContainerMetrics() {
			memory := valueOf(container, memoryUsage)
			if memory == 0 {
				continue
			}
			if valueOf(container, memorySwap) < memory {
				return false
			}
			found = true
		}
	}
	return found
}

func valueOf(container *cri.ContainerMetrics, name string) uint64 {
	for _, m := range container.GetMetrics() {
		if m.GetName() == name {
			return m.GetValue().GetValue()
		}
	}
	return 0
}

// imageFilesystems has names of its own: neither cAdvisor nor the kubelet has
// series of these.
func (c *converter) imageFilesystems(info *cri.ImageFsInfoResponse) {
	for _, group := range []struct {
		use   string
		usage []*cri.FilesystemUsage
	}{{"images", info.GetImageFilesystems()}, {"containers", info.GetContainerFilesystems()}} {
		for _, fs := range group.usage {
			labels := []label{{"mountpoint", fs.GetFsId().GetMountpoint()}, {"use", group.use}}
			if v := fs.GetUsedBytes(); v != nil {
				c.page.add(sample{
					name: "container_runtime_filesystem_used_bytes", help: "Bytes that the runtime's images or writable layers take.",
					at: fs.GetTimestamp(), value: float64(v.GetValue()), labels: labels,
				})
			}
			if v := fs.GetInodesUsed(); v != nil {
				c.page.add(sample{
					name: "container_runtime_filesystem_used_inodes", help: "Inodes that the runtime's images or writable layers take.",
					at: fs.GetTimestamp(), value: float64(v.GetValue()), labels: labels,
				})
			}
		}
	}
}

// maxReason bounds what the runtime says of itself.
const maxReason = 128

func (c *converter) status(status *cri.RuntimeStatus, version *cri.VersionResponse) {
	for _, condition := range status.GetConditions() {
		value := 0.0
		if condition.GetStatus() {
			value = 1
		}
		reason := condition.GetReason()
		c.page.add(sample{
			name: "container_runtime_condition", help: "1 if the condition of the runtime holds, 0 if not, for the reason given.", value: value,
			labels: []label{{"condition", condition.GetType()}, {"reason", reason[:min(len(reason), maxReason)]}},
		})
	}
	if version != nil {
		c.page.add(sample{
			name: "container_runtime_info", help: "The runtime and its version; always 1.", value: 1,
			labels: []label{{"api_version", version.GetRuntimeApiVersion()}, {"runtime", version.GetRuntimeName()}, {"version", version.GetRuntimeVersion()}},
		})
	}
}

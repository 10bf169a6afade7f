package cri

import (
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The sources, in the order of trust: CPU time has nanoseconds in the stats and
// whole seconds in containerd's metrics; all else the metrics tell better.
const (
	fromCPUStats source = iota
	fromMetrics
	fromStats
)

// subject is a container or a pod: the labels that each of its series has.
type subject struct {
	id        string
	namespace string
	pod       string
	name      string // "" of a pod's own CPU and memory
	container string // "" of a pod
	image     string // likewise
}

// labels are cAdvisor's, of which id is as the kubelet writes it where it has
// its stats from CRI: not the path of the cgroup, which CRI does not tell.
func (c *converter) labels(s subject, more ...label) []label {
	c.buffer = append(c.buffer[:0],
		label{"container", s.container}, label{"id", s.id}, label{"image", s.image}, label{"name", s.name},
		label{"namespace", s.namespace}, label{"pod", s.pod})
	c.buffer = append(c.buffer, more...)
	return c.buffer
}

// converter writes answers of the runtime to a page.
type converter struct {
	page   *page
	images map[string]string // by id of a running container
	buffer []label           // of the sample at hand
}

func (c *converter) convert(a answers) {
	c.images = make(map[string]string, len(a.containers))
	for _, container := range a.containers {
		c.images[container.GetId()] = imageOf(container.GetImage())
	}
	c.cpuStats(a)
	c.metrics(a)
	c.containers(a.containers)
	for _, pod := range a.pods {
		c.pod(pod)
	}
	for _, stats := range a.stats {
		c.container(stats)
	}
	c.imageFilesystems(a.images)
	c.status(a.status, a.version)
}

// imageOf is the image as the pod's spec names it, for which cAdvisor shows it.
func imageOf(image *cri.ImageSpec) string {
	if name := image.GetUserSpecifiedImage(); name != "" {
		return name
	}
	return image.GetImage()
}

// containerSubject is false for one that does not run: cAdvisor has none of these.
func (c *converter) containerSubject(a *cri.ContainerAttributes) (subject, bool) {
	image, running := c.images[a.GetId()]
	labels := a.GetLabels()
	s := subject{
		id: a.GetId(), name: a.GetId(), image: image,
		namespace: labels["io.kubernetes.pod.namespace"],
		pod:       labels["io.kubernetes.pod.name"],
		container: labels["io.kubernetes.container.name"],
	}
	if s.container == "" {
		s.container = a.GetMetadata().GetName()
	}
	return s, running && s.id != ""
}

func podSubject(a *cri.PodSandboxAttributes) subject {
	return subject{id: a.GetId(), namespace: a.GetMetadata().GetNamespace(), pod: a.GetMetadata().GetName()}
}

// cpuStats takes CPU time, before the metrics come with theirs.
func (c *converter) cpuStats(a answers) {
	for _, pod := range a.pods {
		for _, stats := range pod.GetLinux().GetContainers() {
			c.cpuOf(stats)
		}
	}
	for _, stats := range a.stats {
		c.cpuOf(stats)
	}
}

func (c *converter) cpuOf(stats *cri.ContainerStats) {
	if s, ok := c.containerSubject(stats.GetAttributes()); ok {
		c.cpu(s, stats.GetCpu())
	}
}

func (c *converter) cpu(s subject, cpu *cri.CpuUsage) {
	if usage := cpu.GetUsageCoreNanoSeconds(); usage != nil {
		c.page.addOwned(fromCPUStats, s.id, sample{
			name: "container_cpu_usage_seconds_total", help: "Cumulative cpu time consumed in seconds.", kind: counter,
			at: cpu.GetTimestamp(), value: seconds(usage.GetValue()), labels: c.labels(s, label{"cpu", "total"}),
		})
	}
}

func seconds(nanoseconds uint64) float64 { return float64(nanoseconds) / float64(time.Second) }

// value adds a sample from the stats, if they have it.
func (c *converter) value(s subject, name, help string, k kind, at int64, v *cri.UInt64Value, more ...label) {
	if v == nil {
		return
	}
	c.page.addOwned(fromStats, s.id, sample{
		name: name, help: help, kind: k, at: at, value: float64(v.GetValue()), labels: c.labels(s, more...),
	})
}

// containers tells of each when it was made, as cAdvisor does.
func (c *converter) containers(list []*cri.Container) {
	for _, container := range list {
		s, ok := c.containerSubject(&cri.ContainerAttributes{
			Id: container.GetId(), Metadata: container.GetMetadata(), Labels: container.GetLabels(),
		})
		if created := container.GetCreatedAt(); ok && created > 0 {
			c.page.add(sample{
				name: "container_creation_time_seconds", help: "Creation time of the container since unix epoch in seconds.",
				value: float64(created / int64(time.Second)), labels: c.labels(s),
			})
		}
	}
}

func (c *converter) pod(stats *cri.PodSandboxStats) {
	s, linux := podSubject(stats.GetAttributes()), stats.GetLinux()
	if s.id == "" {
		return
	}
	c.cpu(s, linux.GetCpu())
	c.memory(s, linux.GetMemory())
	c.pressures(s, linux.GetCpu(), linux.GetMemory(), linux.GetIo())
	process := linux.GetProcess()
	c.value(s, "container_processes", "Number of processes running inside the container.", gauge,
		process.GetTimestamp(), positive(process.GetProcessCount()))
	s.name = s.id // the network is that of the pod's sandbox, a container to cAdvisor
	c.network(s, linux.GetNetwork())
	for _, container := range linux.GetContainers() {
		c.container(container)
	}
}

// positive is v if it is: containerd says 0 processes for what it does not know.
func positive(v *cri.UInt64Value) *cri.UInt64Value {
	if v.GetValue() == 0 {
		return nil
	}
	return v
}

func (c *converter) container(stats *cri.ContainerStats) {
	s, ok := c.containerSubject(stats.GetAttributes())
	if !ok {
		return
	}
	c.memory(s, stats.GetMemory())
	c.pressures(s, stats.GetCpu(), stats.GetMemory(), stats.GetIo())
	swap := stats.GetSwap()
	c.value(s, "container_memory_swap", "Container swap usage in bytes.", gauge, swap.GetTimestamp(), swap.GetSwapUsageBytes())
	layer := stats.GetWritableLayer()
	c.value(s, "container_fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem.", gauge,
		layer.GetTimestamp(), layer.GetUsedBytes(), label{"device", layer.GetFsId().GetMountpoint()})
	if at := stats.GetCpu().GetTimestamp(); at > 0 {
		c.value(s, "container_last_seen", "Last time a container was seen by the exporter", gauge, at,
			&cri.UInt64Value{Value: uint64(at / int64(time.Second))})
	}
}

func (c *converter) memory(s subject, m *cri.MemoryUsage) {
	at := m.GetTimestamp()
	c.value(s, "container_memory_working_set_bytes", "Current working set in bytes.", gauge, at, m.GetWorkingSetBytes())
	c.value(s, "container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed", gauge, at, m.GetUsageBytes())
	c.value(s, "container_memory_rss", "Size of RSS in bytes.", gauge, at, m.GetRssBytes())
	const failures, help = "container_memory_failures_total", "Cumulative count of memory allocation failures."
	c.value(s, failures, help, counter, at, m.GetPageFaults(), label{"failure_type", "pgfault"}, label{"scope", "container"})
	c.value(s, failures, help, counter, at, m.GetMajorPageFaults(), label{"failure_type", "pgmajfault"}, label{"scope", "container"})
}

// pressures are the stall times that the kernel has on cgroup v2.
func (c *converter) pressures(s subject, cpu *cri.CpuUsage, memory *cri.MemoryUsage, io *cri.IoUsage) {
	c.pressure(s, "cpu", "CPU", cpu.GetTimestamp(), cpu.GetPsi())
	c.pressure(s, "memory", "memory", memory.GetTimestamp(), memory.GetPsi())
	c.pressure(s, "io", "IO", io.GetTimestamp(), io.GetPsi())
}

func (c *converter) pressure(s subject, resource, congestion string, at int64, psi *cri.PsiStats) {
	for _, part := range []struct {
		data       *cri.PsiData
		name, help string
	}{
		{psi.GetSome(), "waiting", "Total time duration tasks in the container have waited due to " + congestion + " congestion."},
		{psi.GetFull(), "stalled", "Total time duration no tasks in the container could make progress due to " + congestion + " congestion."},
	} {
		if part.data != nil {
			c.page.addOwned(fromStats, s.id, sample{
				name: "container_pressure_" + resource + "_" + part.name + "_seconds_total", help: part.help, kind: counter,
				at: at, value: seconds(part.data.GetTotal()), labels: c.labels(s),
			})
		}
	}
}

func (c *converter) network(s subject, n *cri.NetworkUsage) {
	interfaces := n.GetInterfaces()
	if len(interfaces) == 0 && n.GetDefaultInterface() != nil {
		interfaces = []*cri.NetworkInterfaceUsage{n.GetDefaultInterface()}
	}
	at := n.GetTimestamp()
	for _, i := range interfaces {
		on := label{"interface", i.GetName()}
		c.value(s, "container_network_receive_bytes_total", "Cumulative count of bytes received", counter, at, i.GetRxBytes(), on)
		c.value(s, "container_network_receive_errors_total", "Cumulative count of errors encountered while receiving", counter, at, i.GetRxErrors(), on)
		c.value(s, "container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", counter, at, i.GetTxBytes(), on)
		c.value(s, "container_network_transmit_errors_total", "Cumulative count of errors encountered while transmitting", counter, at, i.GetTxErrors(), on)
	}
}

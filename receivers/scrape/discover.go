package scrape

import (
	"fmt"
	"strconv"

	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// Targets of monitors have the labels that Prometheus' discovery and the
// relabelling by the Prometheus operator give them:
// https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config
// https://github.com/prometheus-operator/prometheus-operator/blob/main/pkg/prometheus/promcfg.go

type servicePort struct {
	Name       string             `json:"name"`
	Protocol   string             `json:"protocol"`
	Port       uint16             `json:"port"`
	TargetPort intstr.IntOrString `json:"targetPort"`
}

type adder func(e *compiledEndpoint, p *kubemeta.Pod, labels map[string]string)

// podTargets are those of a PodMonitor: each port that a container declares is
// a target, a container without ports one too.
func (c *compiled) podTargets(pods []*kubemeta.Pod, add adder) {
	for _, p := range pods {
		if len(p.IPs) == 0 || !c.selects(p.Namespace) || !c.selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		for i := range c.endpoints {
			e := &c.endpoints[i]
			if p.Finished && e.onlyRunning() {
				continue
			}
			for _, port := range portsOf(p) {
				if e.wantsPodPort(port) {
					add(e, p, c.podLabels(e, p, port))
				}
			}
		}
	}
}

func (e *endpoint) onlyRunning() bool { return e.FilterRunning == nil || *e.FilterRunning }

// portsOf adds to the ports of a pod one without number for each container
// that declares none.
func portsOf(p *kubemeta.Pod) []kubemeta.Port {
	all := p.Ports
	for i := range p.Containers {
		c := &p.Containers[i]
		declares := c.Ephemeral
		for _, port := range p.Ports {
			declares = declares || port.Container == c.Name
		}
		if !declares {
			all = append(all[:len(all):len(all)], kubemeta.Port{Container: c.Name})
		}
	}
	return all
}

func (e *endpoint) wantsPodPort(port kubemeta.Port) bool {
	switch {
	case e.Port != "":
		return port.Name == e.Port
	case e.PortNumber != 0:
		return port.Number == e.PortNumber
	case e.TargetPort != nil:
		return e.wantsTargetPort(port)
	}
	return true
}

func (e *endpoint) wantsTargetPort(port kubemeta.Port) bool {
	if e.TargetPort.Type == intstr.String {
		return port.Name == e.TargetPort.StrVal && port.Name != ""
	}
	return int32(port.Number) == e.TargetPort.IntVal && port.Number != 0
}

// endpointLabel is what the label "endpoint" says.
func (e *endpoint) endpointLabel() string {
	switch {
	case e.Port != "":
		return e.Port
	case e.TargetPort != nil:
		return e.TargetPort.String()
	}
	return ""
}

func (c *compiled) podLabels(e *compiledEndpoint, p *kubemeta.Pod, port kubemeta.Port) map[string]string {
	found := map[string]string{model.AddressLabel: addressOf(p, port.Number)}
	describePod(found, p, port)
	found["namespace"] = p.Namespace
	found["container"] = port.Container
	found["pod"] = p.Name
	copyLabels(found, c.monitor.Spec.PodTargetLabels, p.Labels)
	found["job"] = keyOf(&c.monitor.metadata)
	if job := p.Labels[c.monitor.Spec.JobLabel]; job != "" {
		found["job"] = job
	}
	found["endpoint"] = e.endpointLabel()
	found["__tmp_prometheus_job_name"] = e.job.id
	return found
}

// addressOf: a container without ports has an address without one.
func addressOf(p *kubemeta.Pod, port uint16) string {
	if port != 0 {
		return hostPort(p.IPs[0], port)
	}
	if p.IPs[0].Is6() {
		return "[" + p.IPs[0].String() + "]"
	}
	return p.IPs[0].String()
}

func copyLabels(to map[string]string, keys []string, from map[string]string) {
	for _, key := range keys {
		if value := from[key]; value != "" {
			to[labelName(key)] = value
		}
	}
}

// near says whether the monitor has pods among these.
func (c *compiled) near(services []*service, pods []*kubemeta.Pod) bool {
	for _, p := range pods {
		if c.source == sourcePodMonitor {
			if c.selects(p.Namespace) && c.selector.Matches(labels.Set(p.Labels)) {
				return true
			}
			continue
		}
		for _, s := range services {
			if s.Namespace == p.Namespace && c.selectsService(s) && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels)) {
				return true
			}
		}
	}
	return false
}

// selectsService: one without a selector has no pods that are known here.
func (c *compiled) selectsService(s *service) bool {
	return len(s.Spec.Selector) > 0 && c.selects(s.Namespace) && c.selector.Matches(labels.Set(s.Labels))
}

// serviceTargets are those of a ServiceMonitor. The pods behind a Service are
// those its selector matches, ready or not, as its endpoints would say: no
// endpoints need be watched.
func (c *compiled) serviceTargets(services []*service, pods []*kubemeta.Pod, add adder) {
	for _, s := range services {
		if !c.selectsService(s) {
			continue
		}
		selector := labels.SelectorFromSet(s.Spec.Selector)
		for _, p := range pods {
			if p.Namespace != s.Namespace || len(p.IPs) == 0 || !selector.Matches(labels.Set(p.Labels)) {
				continue
			}
			for i := range c.endpoints {
				if e := &c.endpoints[i]; !p.Finished || !e.onlyRunning() {
					c.endpointTargets(e, s, p, add)
				}
			}
		}
	}
}

// endpointTargets are the ports of a Service's endpoint, and the ports of the
// pod beside them, of which an endpoint wants some.
func (c *compiled) endpointTargets(e *compiledEndpoint, s *service, p *kubemeta.Pod, add adder) {
	covered := map[uint16]bool{}
	for i := range s.Spec.Ports {
		of := &s.Spec.Ports[i]
		number, ok := of.resolve(p)
		if !ok {
			continue
		}
		covered[number] = true
		port := declared(p, number)
		if e.Port != "" && of.Name != e.Port || e.Port == "" && e.TargetPort != nil && !e.wantsTargetPort(port) {
			continue
		}
		port.Number = number
		add(e, p, c.serviceLabels(e, s, of.Name, p, port))
	}
	if e.Port != "" {
		return
	}
	for _, port := range p.Ports {
		if !covered[port.Number] && (e.TargetPort == nil || e.wantsTargetPort(port)) {
			add(e, p, c.serviceLabels(e, s, "", p, port))
		}
	}
}

// resolve finds the number of the pod's port behind one of the Service.
func (s *servicePort) resolve(p *kubemeta.Pod) (number uint16, ok bool) {
	if s.TargetPort.Type == intstr.Int {
		if s.TargetPort.IntVal == 0 {
			return s.Port, true
		}
		return uint16(s.TargetPort.IntVal), s.TargetPort.IntVal > 0 && s.TargetPort.IntVal < 1<<16
	}
	for _, port := range p.Ports {
		if port.Name == s.TargetPort.StrVal {
			return port.Number, true
		}
	}
	return 0, false
}

// declared finds the port that a container declares by the number; one without
// a container if none does.
func declared(p *kubemeta.Pod, number uint16) kubemeta.Port {
	for _, port := range p.Ports {
		if port.Number == number {
			return port
		}
	}
	return kubemeta.Port{}
}

func (c *compiled) serviceLabels(e *compiledEndpoint, s *service, endpointPort string, p *kubemeta.Pod, port kubemeta.Port) map[string]string {
	found := map[string]string{model.AddressLabel: addressOf(p, port.Number)}
	describePod(found, p, port)
	describeService(found, s, endpointPort, p)
	found["namespace"] = s.Namespace
	found["service"] = s.Name
	found["pod"] = p.Name
	found["container"] = port.Container
	copyLabels(found, c.monitor.Spec.TargetLabels, s.Labels)
	copyLabels(found, c.monitor.Spec.PodTargetLabels, p.Labels)
	found["job"] = s.Name
	if job := s.Labels[c.monitor.Spec.JobLabel]; job != "" {
		found["job"] = job
	}
	found["endpoint"] = e.endpointLabel()
	found["__tmp_prometheus_job_name"] = e.job.id
	return found
}

const meta = model.MetaLabelPrefix + "kubernetes_"

// describePod writes the labels of Prometheus' discovery of pods.
func describePod(to map[string]string, p *kubemeta.Pod, port kubemeta.Port) {
	to[meta+"namespace"] = p.Namespace
	to[meta+"pod_name"] = p.Name
	to[meta+"pod_ip"] = p.IPs[0].String()
	to[meta+"pod_uid"] = p.UID
	to[meta+"pod_node_name"] = p.NodeName
	to[meta+"pod_phase"] = p.Phase
	to[meta+"pod_ready"] = strconv.FormatBool(p.Ready)
	if p.HostNetwork {
		to[meta+"pod_host_ip"] = p.IPs[0].String()
	}
	to[meta+"pod_controller_kind"] = p.Owner.Kind
	to[meta+"pod_controller_name"] = p.Owner.Name
	to[meta+"pod_container_name"] = port.Container
	if container, ok := p.Container(port.Container); ok {
		to[meta+"pod_container_id"] = container.ID
		to[meta+"pod_container_init"] = strconv.FormatBool(container.Init)
		to[meta+"pod_container_image"] = container.Image.Name
		if container.Image.Tag != "" {
			to[meta+"pod_container_image"] = fmt.Sprintf("%s:%s", container.Image.Name, container.Image.Tag)
		}
	}
	if port.Protocol != "" {
		to[meta+"pod_container_port_name"] = port.Name
		to[meta+"pod_container_port_number"] = strconv.Itoa(int(port.Number))
		to[meta+"pod_container_port_protocol"] = port.Protocol
	}
	describeMap(to, "pod_label", p.Labels)
	describeMap(to, "pod_annotation", p.Annotations)
}

func describeMap(to map[string]string, name string, entries map[string]string) {
	for key, value := range entries {
		key = labelName(key)
		to[meta+name+"_"+key] = value
		to[meta+name+"present_"+key] = "true"
	}
}

// describeService writes those of endpoints and, under other names,
// endpoint slices: the operator uses either.
func describeService(to map[string]string, s *service, port string, p *kubemeta.Pod) {
	to[meta+"service_name"] = s.Name
	describeMap(to, "service_label", s.Labels)
	describeMap(to, "service_annotation", s.Annotations)
	to[meta+"endpoints_name"] = s.Name
	for _, kind := range []string{"endpoint_", "endpointslice_"} {
		to[meta+kind+"address_target_kind"] = "Pod"
		to[meta+kind+"address_target_name"] = p.Name
		to[meta+kind+"port_name"] = port
		to[meta+kind+"ready"] = strconv.FormatBool(p.Ready)
	}
	to[meta+"endpoint_node_name"] = p.NodeName
	to[meta+"endpointslice_endpoint_conditions_ready"] = strconv.FormatBool(p.Ready)
	to[meta+"endpointslice_endpoint_node_name"] = p.NodeName
}

package kubestate

import (
	corev1 "k8s.io/api/core/v1"
)

// containers is one of a pod's two lists of containers and how its families
// are called.
type containers struct {
	prefix   string // of names
	noun     string // in help texts
	restarts string // help text
	specs    func(p *corev1.Pod) []corev1.Container
	statuses func(p *corev1.Pod) []corev1.ContainerStatus
	init     bool
}

var mainContainers = containers{
	prefix: "kube_pod_container", noun: "container",
	restarts: "The number of container restarts per container.",
	specs:    func(p *corev1.Pod) []corev1.Container { return p.Spec.Containers },
	statuses: func(p *corev1.Pod) []corev1.ContainerStatus { return p.Status.ContainerStatuses },
}

var initContainers = containers{
	prefix: "kube_pod_init_container", noun: "init container",
	restarts: "The number of restarts for the init container.",
	specs:    func(p *corev1.Pod) []corev1.Container { return p.Spec.InitContainers },
	statuses: func(p *corev1.Pod) []corev1.ContainerStatus { return p.Status.InitContainerStatuses },
	init:     true,
}

// containerFamilies are those that both lists have.
func containerFamilies(c containers) []family[corev1.Pod] {
	return []family[corev1.Pod]{
		c.info(),
		c.resources("limits", "limit", func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Limits }),
		c.resources("requests", "request", func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Requests }),
		c.status("_status_ready", "Describes whether the "+c.noun+"s readiness check succeeded.",
			func(w *writer, s *corev1.ContainerStatus) { w.flag(s.Ready, s.Name) }),
		c.restart(),
		c.status("_status_running", "Describes whether the "+c.noun+" is currently in running state.",
			func(w *writer, s *corev1.ContainerStatus) { w.flag(s.State.Running != nil, s.Name) }),
		c.status("_status_terminated", "Describes whether the "+c.noun+" is currently in terminated state.",
			func(w *writer, s *corev1.ContainerStatus) { w.flag(s.State.Terminated != nil, s.Name) }),
		c.status("_status_terminated_reason", "Describes the reason the "+c.noun+" is currently in terminated state.",
			func(w *writer, s *corev1.ContainerStatus) {
				if t := s.State.Terminated; t != nil {
					w.put(1, s.Name, t.Reason)
				}
			}, "reason"),
		c.status("_status_waiting", "Describes whether the "+c.noun+" is currently in waiting state.",
			func(w *writer, s *corev1.ContainerStatus) { w.flag(s.State.Waiting != nil, s.Name) }),
		c.status("_status_waiting_reason", "Describes the reason the "+c.noun+" is currently in waiting state.",
			func(w *writer, s *corev1.ContainerStatus) {
				if s.State.Waiting != nil {
					w.put(1, s.Name, s.State.Waiting.Reason)
				}
			}, "reason"),
		c.status("_status_last_terminated_reason", "Describes the last reason the "+c.noun+" was in terminated state.",
			func(w *writer, s *corev1.ContainerStatus) {
				if t := s.LastTerminationState.Terminated; t != nil {
					w.put(1, s.Name, t.Reason)
				}
			}, "reason"),
	}
}

// lastTerminationFamilies are those that only a pod's main containers have.
func lastTerminationFamilies() []family[corev1.Pod] {
	c := mainContainers
	return []family[corev1.Pod]{
		c.status("_state_started", "Start time in unix timestamp for a pod container.",
			func(w *writer, s *corev1.ContainerStatus) {
				switch {
				case s.State.Running != nil:
					w.put(float64(s.State.Running.StartedAt.Unix()), s.Name)
				case s.State.Terminated != nil:
					w.put(float64(s.State.Terminated.StartedAt.Unix()), s.Name)
				}
			}),
		c.status("_status_last_terminated_exitcode", "Describes the exit code for the last container in terminated state.",
			func(w *writer, s *corev1.ContainerStatus) {
				if t := s.LastTerminationState.Terminated; t != nil {
					w.put(float64(t.ExitCode), s.Name)
				}
			}),
		c.status("_status_last_terminated_timestamp", "Last terminated time for a pod container in unix timestamp.",
			func(w *writer, s *corev1.ContainerStatus) {
				if t := s.LastTerminationState.Terminated; t != nil {
					w.put(float64(t.FinishedAt.Unix()), s.Name)
				}
			}),
	}
}

// status is a family with a point, or none, for each container's status.
func (c containers) status(suffix, help string, write func(*writer, *corev1.ContainerStatus), more ...string) family[corev1.Pod] {
	return family[corev1.Pod]{
		name: c.prefix + suffix, help: help, labels: append([]string{"container"}, more...),
		write: func(w *writer, p *corev1.Pod) {
			statuses := c.statuses(p)
			for i := range statuses {
				write(w, &statuses[i])
			}
		},
	}
}

func (c containers) restart() family[corev1.Pod] {
	f := c.status("_status_restarts_total", c.restarts,
		func(w *writer, s *corev1.ContainerStatus) { w.put(float64(s.RestartCount), s.Name) })
	f.typ = counter
	return f
}

func (c containers) info() family[corev1.Pod] {
	article, labels := "a ", []string{"container", "image_spec", "image", "image_id", "container_id"}
	if c.init {
		article, labels = "an ", append(labels, "restart_policy")
	}
	return family[corev1.Pod]{
		name: c.prefix + "_info", help: "Information about " + article + c.noun + " in a pod.", labels: labels,
		write: func(w *writer, p *corev1.Pod) {
			for i := range c.specs(p) {
				c.writeInfo(w, &c.specs(p)[i], c.statuses(p))
			}
		},
	}
}

func (c containers) writeInfo(w *writer, spec *corev1.Container, statuses []corev1.ContainerStatus) {
	restart := ""
	if spec.RestartPolicy != nil {
		restart = string(*spec.RestartPolicy)
	}
	for i := range statuses {
		if s := &statuses[i]; s.Name == spec.Name {
			w.put(1, s.Name, spec.Image, s.Image, s.ImageID, s.ContainerID, restart)
		}
	}
}

func (c containers) resources(suffix, noun string, of func(*corev1.ResourceRequirements) corev1.ResourceList) family[corev1.Pod] {
	help := "The number of requested " + noun + " resource by a container. " +
		"It is recommended to use the kube_pod_resource_" + suffix + " metric exposed by kube-scheduler instead, as it is more precise."
	if c.init {
		help = "The number of requested " + noun + " resource by an init container."
	}
	return family[corev1.Pod]{
		name: c.prefix + "_resource_" + suffix, help: help, labels: []string{"container", "node", "resource", "unit"},
		write: func(w *writer, p *corev1.Pod) {
			for i := range c.specs(p) {
				spec := &c.specs(p)[i]
				for _, r := range measured(of(&spec.Resources)) {
					value := float64(r.amount.Value())
					if r.unit == unitCore {
						value = quantity(r.amount)
					}
					w.put(value, spec.Name, p.Spec.NodeName, r.label, r.unit)
				}
			}
		},
	}
}

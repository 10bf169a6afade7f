package kubestate

import (
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pods gives the kind of pods.
func pods() *kind {
	return newKind(spec[corev1.Pod]{
		resource: "pods", path: "api/v1/pods", goType: "*v1.Pod",
		identity: []string{"namespace", "pod", "uid"},
		identify: func(p *corev1.Pod) []string { return []string{p.Namespace, p.Name, string(p.UID)} },
		families: slices.Concat(podFamilies(), podSpecFamilies(), podStatusFamilies(),
			containerFamilies(mainContainers), lastTerminationFamilies(), containerFamilies(initContainers)),
	})
}

// podFamilies are those of a pod's metadata.
func podFamilies() []family[corev1.Pod] {
	return []family[corev1.Pod]{{
		name: "kube_pod_created", help: "Unix creation timestamp",
		write: func(w *writer, p *corev1.Pod) { w.time(p.CreationTimestamp) },
	}, {
		name: "kube_pod_deletion_timestamp", help: "Unix deletion timestamp",
		write: func(w *writer, p *corev1.Pod) { w.timePtr(p.DeletionTimestamp) },
	}, {
		name: "kube_pod_info", help: "Information about pod.",
		labels: []string{"host_ip", "pod_ip", "node", "created_by_kind", "created_by_name", "priority_class", "host_network"},
		write: func(w *writer, p *corev1.Pod) {
			var kind, name string
			if owner := metav1.GetControllerOf(p); owner != nil {
				kind, name = owner.Kind, owner.Name
			}
			w.put(1, p.Status.HostIP, p.Status.PodIP, p.Spec.NodeName, kind, name,
				p.Spec.PriorityClassName, strconv.FormatBool(p.Spec.HostNetwork))
		},
	}, {
		name: "kube_pod_owner", help: "Information about the Pod's owner.",
		labels: []string{"owner_kind", "owner_name", "owner_is_controller"},
		write:  func(w *writer, p *corev1.Pod) { w.owners(p.OwnerReferences) },
	}, {
		name: "kube_pod_labels", help: "Kubernetes labels converted to Prometheus labels.", open: true,
		write: func(w *writer, p *corev1.Pod) { w.labels(p.Labels) },
	}, {
		name: "kube_pod_annotations", help: "Kubernetes annotations converted to Prometheus labels.", open: true,
		write: func(w *writer, p *corev1.Pod) { w.annotations(p.Annotations) },
	}}
}

// podSpecFamilies are those of what is asked of a pod.
func podSpecFamilies() []family[corev1.Pod] {
	return []family[corev1.Pod]{{
		name: "kube_pod_restart_policy", help: "Describes the restart policy in use by this pod.", labels: []string{"type"},
		write: func(w *writer, p *corev1.Pod) { w.put(1, string(p.Spec.RestartPolicy)) },
	}, {
		name: "kube_pod_runtimeclass_name_info", help: "The runtimeclass associated with the pod.", labels: []string{"runtimeclass_name"},
		write: func(w *writer, p *corev1.Pod) {
			if p.Spec.RuntimeClassName != nil {
				w.put(1, *p.Spec.RuntimeClassName)
			}
		},
	}, {
		name: "kube_pod_overhead_cpu_cores", help: "The pod overhead in regards to cpu cores associated with running a pod.",
		write: func(w *writer, p *corev1.Pod) {
			if cpu, ok := p.Spec.Overhead[corev1.ResourceCPU]; ok {
				w.put(quantity(cpu))
			}
		},
	}, {
		name: "kube_pod_overhead_memory_bytes", help: "The pod overhead in regards to memory associated with running a pod.",
		write: func(w *writer, p *corev1.Pod) {
			if memory, ok := p.Spec.Overhead[corev1.ResourceMemory]; ok {
				w.put(float64(memory.Value()))
			}
		},
	}, {
		name: "kube_pod_spec_volumes_persistentvolumeclaims_info", help: "Information about persistentvolumeclaim volumes in a pod.",
		labels: []string{"volume", "persistentvolumeclaim"},
		write: func(w *writer, p *corev1.Pod) {
			for i := range p.Spec.Volumes {
				if v := &p.Spec.Volumes[i]; v.PersistentVolumeClaim != nil {
					w.put(1, v.Name, v.PersistentVolumeClaim.ClaimName)
				}
			}
		},
	}, {
		name: "kube_pod_spec_volumes_persistentvolumeclaims_readonly", help: "Describes whether a persistentvolumeclaim is mounted read only.",
		labels: []string{"volume", "persistentvolumeclaim"},
		write: func(w *writer, p *corev1.Pod) {
			for i := range p.Spec.Volumes {
				if v := &p.Spec.Volumes[i]; v.PersistentVolumeClaim != nil {
					w.flag(v.PersistentVolumeClaim.ReadOnly, v.Name, v.PersistentVolumeClaim.ClaimName)
				}
			}
		},
	}, {
		name: "kube_pod_tolerations", help: "Information about the pod tolerations",
		labels: []string{"key", "operator", "value", "effect", "toleration_seconds"},
		write: func(w *writer, p *corev1.Pod) {
			for i := range p.Spec.Tolerations {
				t := &p.Spec.Tolerations[i]
				seconds := ""
				if t.TolerationSeconds != nil {
					seconds = strconv.FormatInt(*t.TolerationSeconds, 10)
				}
				w.put(1, t.Key, string(t.Operator), t.Value, string(t.Effect), seconds)
			}
		},
	}, {
		name: "kube_pod_service_account", help: "The service account for a pod.", labels: []string{"service_account"},
		write: func(w *writer, p *corev1.Pod) { w.put(1, p.Spec.ServiceAccountName) },
	}, {
		name: "kube_pod_scheduler", help: "The scheduler for a pod.", labels: []string{"name"},
		write: func(w *writer, p *corev1.Pod) { w.put(1, p.Spec.SchedulerName) },
	}}
}

// podStatusReasons have a series each. SchedulingGated is a later release's;
// kubernetes-mixin's KubePodNotReady reads it.
var podStatusReasons = [...]string{"Evicted", "NodeAffinity", "NodeLost", "SchedulingGated", "Shutdown", "UnexpectedAdmissionError"}

// podStatusFamilies are those of how a pod fares.
func podStatusFamilies() []family[corev1.Pod] {
	return []family[corev1.Pod]{{
		name: "kube_pod_completion_time", help: "Completion time in unix timestamp for a pod.",
		write: writeCompletion,
	}, {
		name: "kube_pod_ips", help: "Pod IP addresses", labels: []string{"ip", "ip_family"},
		write: func(w *writer, p *corev1.Pod) {
			for _, ip := range p.Status.PodIPs {
				if family := ipFamily(ip.IP); family != "" {
					w.put(1, ip.IP, family)
				}
			}
		},
	}, {
		name: "kube_pod_start_time", help: "Start time in unix timestamp for a pod.",
		write: func(w *writer, p *corev1.Pod) {
			if p.Status.StartTime != nil {
				w.put(float64(p.Status.StartTime.Unix()))
			}
		},
	}, {
		name: "kube_pod_status_phase", help: "The pods current phase.", labels: []string{"phase"},
		write: func(w *writer, p *corev1.Pod) {
			if p.Status.Phase != "" {
				w.states(string(p.Status.Phase), "Pending", "Succeeded", "Failed", "Unknown", "Running")
			}
		},
	}, {
		name: "kube_pod_status_qos_class", help: "The pods current qosClass.", labels: []string{"qos_class"},
		write: func(w *writer, p *corev1.Pod) {
			if p.Status.QOSClass != "" {
				w.states(string(p.Status.QOSClass), "BestEffort", "Burstable", "Guaranteed")
			}
		},
	},
		conditionFamily("kube_pod_status_ready", "Describes whether the pod is ready to serve requests.", corev1.PodReady),
		conditionTimeFamily("kube_pod_status_ready_time", "Readiness achieved time in unix timestamp for a pod.", corev1.PodReady, corev1.ConditionTrue),
		conditionTimeFamily("kube_pod_status_initialized_time", "Initialized time in unix timestamp for a pod.", corev1.PodInitialized, corev1.ConditionTrue),
		conditionTimeFamily("kube_pod_status_container_ready_time", "Readiness achieved time in unix timestamp for a pod containers.", corev1.ContainersReady, corev1.ConditionTrue),
		{
			name: "kube_pod_status_reason", help: "The pod status reasons", labels: []string{"reason"},
			write: func(w *writer, p *corev1.Pod) {
				for _, reason := range podStatusReasons {
					w.flag(hasReason(p, reason), reason)
				}
			},
		},
		conditionFamily("kube_pod_status_scheduled", "Describes the status of the scheduling process for the pod.", corev1.PodScheduled),
		conditionTimeFamily("kube_pod_status_scheduled_time", "Unix timestamp when pod moved into scheduled status", corev1.PodScheduled, corev1.ConditionTrue),
		{
			name: "kube_pod_status_unschedulable", help: "Describes the unschedulable status for the pod.",
			write: func(w *writer, p *corev1.Pod) {
				for i := range p.Status.Conditions {
					if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
						w.put(1)
					}
				}
			},
		},
		conditionTimeFamily("kube_pod_status_unscheduled_time", "Unix timestamp when pod moved into unscheduled status", corev1.PodScheduled, corev1.ConditionFalse),
	}
}

// conditionFamily tells which of the three statuses a condition has.
func conditionFamily(name, help string, condition corev1.PodConditionType) family[corev1.Pod] {
	return family[corev1.Pod]{
		name: name, help: help, labels: []string{"condition"},
		write: func(w *writer, p *corev1.Pod) {
			for i := range p.Status.Conditions {
				if c := &p.Status.Conditions[i]; c.Type == condition {
					w.condition(c.Status)
				}
			}
		},
	}
}

// conditionTimeFamily tells since when a condition has a status.
func conditionTimeFamily(name, help string, condition corev1.PodConditionType, status corev1.ConditionStatus) family[corev1.Pod] {
	return family[corev1.Pod]{
		name: name, help: help,
		write: func(w *writer, p *corev1.Pod) {
			for i := range p.Status.Conditions {
				if c := &p.Status.Conditions[i]; c.Type == condition && c.Status == status {
					w.put(float64(c.LastTransitionTime.Unix()))
				}
			}
		},
	}
}

// writeCompletion tells when the last of the ended containers ended.
func writeCompletion(w *writer, p *corev1.Pod) {
	last := int64(0)
	for i := range p.Status.ContainerStatuses {
		if t := p.Status.ContainerStatuses[i].State.Terminated; t != nil && !t.FinishedAt.IsZero() {
			last = max(last, t.FinishedAt.Unix())
		}
	}
	if last > 0 {
		w.put(float64(last))
	}
}

// hasReason tells whether the pod, a condition or an ended container gives the reason.
func hasReason(p *corev1.Pod, reason string) bool {
	return p.Status.Reason == reason ||
		slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Reason == reason }) ||
		slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
			return c.State.Terminated != nil && c.State.Terminated.Reason == reason
		})
}

// ipFamily is "4" or "6", or "" for what is no address.
func ipFamily(ip string) string {
	addr, err := netip.ParseAddr(ip)
	switch {
	case err != nil:
		return ""
	case addr.Unmap().Is4():
		return "4"
	}
	return "6"
}

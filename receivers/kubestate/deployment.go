package kubestate

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func deployments() *kind {
	return newKind(spec[appsv1.Deployment]{
		resource: "deployments", path: "apis/apps/v1/deployments", goType: "*v1.Deployment",
		identity: []string{"namespace", "deployment"},
		identify: namespacedName[appsv1.Deployment],
		families: append([]family[appsv1.Deployment]{
			createdFamily[appsv1.Deployment]("deployment"),
			deletedFamily[appsv1.Deployment]("deployment"),
			generationFamily[appsv1.Deployment]("deployment"),
			labelsFamily[appsv1.Deployment]("deployment"),
			annotationsFamily[appsv1.Deployment]("deployment"),
			{
				name: "kube_deployment_owner", help: "Information about the Deployment's owner.",
				labels: []string{"owner_kind", "owner_name"},
				write: func(w *writer, d *appsv1.Deployment) {
					if len(d.OwnerReferences) == 0 {
						w.put(1)
					}
					for _, o := range d.OwnerReferences {
						w.put(1, o.Kind, o.Name)
					}
				},
			}, {
				name:  "kube_deployment_spec_paused",
				help:  "Whether the deployment is paused and will not be processed by the deployment controller.",
				write: func(w *writer, d *appsv1.Deployment) { w.flag(d.Spec.Paused) },
			}, {
				name: "kube_deployment_spec_replicas", help: "Number of desired pods for a deployment.",
				write: func(w *writer, d *appsv1.Deployment) { w.int32Ptr(d.Spec.Replicas) },
			}, {
				name: "kube_deployment_spec_strategy_rollingupdate_max_unavailable",
				help: "Maximum number of unavailable replicas during a rolling update of a deployment.",
				write: func(w *writer, d *appsv1.Deployment) {
					if r := d.Spec.Strategy.RollingUpdate; r != nil {
						writeShare(w, r.MaxUnavailable, d.Spec.Replicas, false)
					}
				},
			}, {
				name: "kube_deployment_spec_strategy_rollingupdate_max_surge",
				help: "Maximum number of replicas that can be scheduled above the desired number of replicas during a rolling update of a deployment.",
				write: func(w *writer, d *appsv1.Deployment) {
					if r := d.Spec.Strategy.RollingUpdate; r != nil {
						writeShare(w, r.MaxSurge, d.Spec.Replicas, true)
					}
				},
			},
		}, deploymentStatus()...),
	})
}

func deploymentStatus() []family[appsv1.Deployment] {
	return []family[appsv1.Deployment]{
		numberFamily("kube_deployment_status_replicas", "The number of replicas per deployment.",
			func(d *appsv1.Deployment) float64 { return float64(d.Status.Replicas) }),
		numberFamily("kube_deployment_status_replicas_ready", "The number of ready replicas per deployment.",
			func(d *appsv1.Deployment) float64 { return float64(d.Status.ReadyReplicas) }),
		numberFamily("kube_deployment_status_replicas_available", "The number of available replicas per deployment.",
			func(d *appsv1.Deployment) float64 { return float64(d.Status.AvailableReplicas) }),
		numberFamily("kube_deployment_status_replicas_unavailable", "The number of unavailable replicas per deployment.",
			func(d *appsv1.Deployment) float64 { return float64(d.Status.UnavailableReplicas) }),
		numberFamily("kube_deployment_status_replicas_updated", "The number of updated replicas per deployment.",
			func(d *appsv1.Deployment) float64 { return float64(d.Status.UpdatedReplicas) }),
		numberFamily("kube_deployment_status_observed_generation", "The generation observed by the deployment controller.",
			func(d *appsv1.Deployment) float64 { return float64(d.Status.ObservedGeneration) }),
		{
			name:  "kube_deployment_status_terminating_replicas",
			help:  "The number of terminating replicas per deployment.",
			write: func(w *writer, d *appsv1.Deployment) { w.int32Ptr(d.Status.TerminatingReplicas) },
		}, {
			name: "kube_deployment_status_condition", help: "The current status conditions of a deployment.",
			labels: []string{"reason", "condition", "status"},
			write: func(w *writer, d *appsv1.Deployment) {
				for _, c := range d.Status.Conditions {
					w.condition(c.Status, deploymentReason(c.Reason), string(c.Type))
				}
			},
		},
	}
}

// deploymentReason is the reason of a condition if it is one of Kubernetes' own:
// a label must not have whatever a webhook or another controller writes there.
func deploymentReason(reason string) string {
	switch reason {
	case "", "ReplicaSetUpdated", "ReplicaSetCreateError", "NewReplicaSetCreated", "FoundNewReplicaSet",
		"NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused", "DeploymentResumed",
		"MinimumReplicasAvailable", "MinimumReplicasUnavailable":
		return reason
	}
	return "unknown"
}

// writeShare writes a number of replicas that may be given as a percentage of
// those desired, and nothing if it is malformed.
func writeShare(w *writer, share *intstr.IntOrString, replicas *int32, roundUp bool) {
	desired := 1 // what the API server fills in
	if replicas != nil {
		desired = int(*replicas)
	}
	if n, err := intstr.GetScaledValueFromIntOrPercent(share, desired, roundUp); err == nil {
		w.put(float64(n))
	}
}

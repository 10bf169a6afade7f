package kubestate

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// verticalPodAutoscaler is what the series read of the custom resource.
type verticalPodAutoscaler struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		TargetRef    autoscalingv1.CrossVersionObjectReference `json:"targetRef"`
		UpdatePolicy struct {
			UpdateMode string `json:"updateMode"`
		} `json:"updatePolicy"`
		ResourcePolicy struct {
			ContainerPolicies []struct {
				ContainerName string              `json:"containerName"`
				MinAllowed    corev1.ResourceList `json:"minAllowed"`
				MaxAllowed    corev1.ResourceList `json:"maxAllowed"`
			} `json:"containerPolicies"`
		} `json:"resourcePolicy"`
	} `json:"spec"`
	Status struct {
		Recommendation struct {
			ContainerRecommendations []containerRecommendation `json:"containerRecommendations"`
		} `json:"recommendation"`
	} `json:"status"`
}

type containerRecommendation struct {
	ContainerName  string              `json:"containerName"`
	Target         corev1.ResourceList `json:"target"`
	LowerBound     corev1.ResourceList `json:"lowerBound"`
	UpperBound     corev1.ResourceList `json:"upperBound"`
	UncappedTarget corev1.ResourceList `json:"uncappedTarget"`
}

// verticalPodAutoscalers has the names that kube-state-metrics had until v2.8,
// which dashboards read; later ones know the kind only as a custom resource that
// a configuration tells of.
func verticalPodAutoscalers() *kind {
	type vpa = verticalPodAutoscaler
	const noun = "verticalpodautoscaler"
	resourceLabels := []string{"container", "resource", "unit"}
	recommendation := func(name, help string, of func(*containerRecommendation) corev1.ResourceList) family[vpa] {
		return family[vpa]{
			name: "kube_" + noun + "_status_recommendation_containerrecommendations_" + name, help: help, labels: resourceLabels,
			write: func(w *writer, v *vpa) {
				for i := range v.Status.Recommendation.ContainerRecommendations {
					r := &v.Status.Recommendation.ContainerRecommendations[i]
					writeContainerResources(w, r.ContainerName, of(r))
				}
			},
		}
	}
	return newKind(spec[vpa]{
		resource: noun + "s", path: "apis/autoscaling.k8s.io/v1/" + noun + "s", goType: "*v1.VerticalPodAutoscaler",
		encoding: kubeapi.AsJSON, optional: true,
		identity: []string{"namespace", noun, "target_api_version", "target_kind", "target_name"},
		identify: func(v *vpa) []string {
			t := v.Spec.TargetRef
			return []string{v.Namespace, v.Name, t.APIVersion, t.Kind, t.Name}
		},
		families: []family[vpa]{
			labelsFamily[vpa](noun),
			annotationsFamily[vpa](noun),
			{
				name: "kube_" + noun + "_spec_updatepolicy_updatemode", help: "Update mode of the VerticalPodAutoscaler.",
				labels: []string{"update_mode"},
				write: func(w *writer, v *vpa) {
					if mode := v.Spec.UpdatePolicy.UpdateMode; mode != "" {
						w.states(mode, "Off", "Initial", "Recreate", "Auto", "InPlaceOrRecreate")
					}
				},
			}, {
				name:   "kube_" + noun + "_spec_resourcepolicy_container_policies_minallowed",
				help:   "Minimum resources the VerticalPodAutoscaler can set for containers matching the name.",
				labels: resourceLabels,
				write: func(w *writer, v *vpa) {
					for _, p := range v.Spec.ResourcePolicy.ContainerPolicies {
						writeContainerResources(w, p.ContainerName, p.MinAllowed)
					}
				},
			}, {
				name:   "kube_" + noun + "_spec_resourcepolicy_container_policies_maxallowed",
				help:   "Maximum resources the VerticalPodAutoscaler can set for containers matching the name.",
				labels: resourceLabels,
				write: func(w *writer, v *vpa) {
					for _, p := range v.Spec.ResourcePolicy.ContainerPolicies {
						writeContainerResources(w, p.ContainerName, p.MaxAllowed)
					}
				},
			},
			recommendation("lowerbound", "Minimum resources the container can use before the VerticalPodAutoscaler updater evicts it.",
				func(r *containerRecommendation) corev1.ResourceList { return r.LowerBound }),
			recommendation("upperbound", "Maximum resources the container can use before the VerticalPodAutoscaler updater evicts it.",
				func(r *containerRecommendation) corev1.ResourceList { return r.UpperBound }),
			recommendation("target", "Target resources the VerticalPodAutoscaler recommends for the container.",
				func(r *containerRecommendation) corev1.ResourceList { return r.Target }),
			recommendation("uncappedtarget", "Target resources the VerticalPodAutoscaler recommends for the container ignoring bounds.",
				func(r *containerRecommendation) corev1.ResourceList { return r.UncappedTarget }),
		},
	})
}

func writeContainerResources(w *writer, container string, resources corev1.ResourceList) {
	for _, name := range sortedResources(resources) {
		switch name {
		case corev1.ResourceCPU:
			w.put(quantity(resources[name]), container, string(name), "core")
		case corev1.ResourceMemory, corev1.ResourceStorage, corev1.ResourceEphemeralStorage:
			w.put(quantity(resources[name]), container, sanitize(string(name)), "byte")
		}
	}
}

package kubestate

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func horizontalPodAutoscalers() *kind {
	type hpa = autoscalingv2.HorizontalPodAutoscaler
	generation := generationFamily[hpa]("horizontalpodautoscaler")
	generation.help = "The generation observed by the HorizontalPodAutoscaler controller."
	return newKind(spec[hpa]{
		resource: "horizontalpodautoscalers", path: "apis/autoscaling/v2/horizontalpodautoscalers",
		goType:   "*v2.HorizontalPodAutoscaler",
		identity: []string{"namespace", "horizontalpodautoscaler"},
		identify: namespacedName[hpa],
		families: []family[hpa]{
			createdFamily[hpa]("horizontalpodautoscaler"),
			deletedFamily[hpa]("horizontalpodautoscaler"),
			generation,
			labelsFamily[hpa]("horizontalpodautoscaler"),
			annotationsFamily[hpa]("horizontalpodautoscaler"),
			{
				name: "kube_horizontalpodautoscaler_info", help: "Information about this autoscaler.",
				labels: []string{"scaletargetref_api_version", "scaletargetref_kind", "scaletargetref_name"},
				write: func(w *writer, a *hpa) {
					t := a.Spec.ScaleTargetRef
					w.put(1, t.APIVersion, t.Kind, t.Name)
				},
			},
			numberFamily("kube_horizontalpodautoscaler_spec_max_replicas",
				"Upper limit for the number of pods that can be set by the autoscaler; cannot be smaller than MinReplicas.",
				func(a *hpa) float64 { return float64(a.Spec.MaxReplicas) }),
			{
				name:  "kube_horizontalpodautoscaler_spec_min_replicas",
				help:  "Lower limit for the number of pods that can be set by the autoscaler, default 1.",
				write: func(w *writer, a *hpa) { w.int32Ptr(a.Spec.MinReplicas) },
			}, {
				name:   "kube_horizontalpodautoscaler_spec_target_metric",
				help:   "The metric specifications used by this autoscaler when calculating the desired replica count.",
				labels: []string{"metric_name", "metric_target_type"},
				write: func(w *writer, a *hpa) {
					for i := range a.Spec.Metrics {
						name, t := targetMetric(&a.Spec.Metrics[i])
						writeTargets(w, name, t.Value, t.AverageUtilization, t.AverageValue)
					}
				},
			}, {
				name:   "kube_horizontalpodautoscaler_status_target_metric",
				help:   "The current metric status used by this autoscaler when calculating the desired replica count.",
				labels: []string{"metric_name", "metric_target_type"},
				write: func(w *writer, a *hpa) {
					for i := range a.Status.CurrentMetrics {
						name, v := currentMetric(&a.Status.CurrentMetrics[i])
						writeTargets(w, name, v.Value, v.AverageUtilization, v.AverageValue)
					}
				},
			},
			numberFamily("kube_horizontalpodautoscaler_status_current_replicas",
				"Current number of replicas of pods managed by this autoscaler.",
				func(a *hpa) float64 { return float64(a.Status.CurrentReplicas) }),
			numberFamily("kube_horizontalpodautoscaler_status_desired_replicas",
				"Desired number of replicas of pods managed by this autoscaler.",
				func(a *hpa) float64 { return float64(a.Status.DesiredReplicas) }),
			{
				name: "kube_horizontalpodautoscaler_status_condition", help: "The condition of this autoscaler.",
				labels: []string{"condition", "status"},
				write: func(w *writer, a *hpa) {
					for _, c := range a.Status.Conditions {
						w.condition(corev1.ConditionStatus(c.Status), string(c.Type))
					}
				},
			},
		},
	})
}

// targetMetric is the name of a metric and what it shall be; no target for a
// source that we do not know.
func targetMetric(m *autoscalingv2.MetricSpec) (string, autoscalingv2.MetricTarget) {
	switch {
	case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil:
		return m.Object.Metric.Name, m.Object.Target
	case m.Type == autoscalingv2.PodsMetricSourceType && m.Pods != nil:
		return m.Pods.Metric.Name, m.Pods.Target
	case m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil:
		return string(m.Resource.Name), m.Resource.Target
	case m.Type == autoscalingv2.ContainerResourceMetricSourceType && m.ContainerResource != nil:
		return string(m.ContainerResource.Name), m.ContainerResource.Target
	case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil:
		return m.External.Metric.Name, m.External.Target
	}
	return "", autoscalingv2.MetricTarget{}
}

// currentMetric is the name of a metric and what it is.
func currentMetric(m *autoscalingv2.MetricStatus) (string, autoscalingv2.MetricValueStatus) {
	switch {
	case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil:
		return m.Object.Metric.Name, m.Object.Current
	case m.Type == autoscalingv2.PodsMetricSourceType && m.Pods != nil:
		return m.Pods.Metric.Name, m.Pods.Current
	case m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil:
		return string(m.Resource.Name), m.Resource.Current
	case m.Type == autoscalingv2.ContainerResourceMetricSourceType && m.ContainerResource != nil:
		return string(m.ContainerResource.Name), m.ContainerResource.Current
	case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil:
		return m.External.Metric.Name, m.External.Current
	}
	return "", autoscalingv2.MetricValueStatus{}
}

func writeTargets(w *writer, name string, value *resource.Quantity, utilization *int32, average *resource.Quantity) {
	if value != nil {
		w.put(quantity(*value), name, "value")
	}
	w.int32Ptr(utilization, name, "utilization")
	if average != nil {
		w.put(quantity(*average), name, "average")
	}
}

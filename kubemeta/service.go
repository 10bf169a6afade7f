package kubemeta

import "cmp"

// AnnotationPrefix begins the annotations that name resource attributes.
const AnnotationPrefix = "resource.opentelemetry.io/"

// Service is the identity of a service by OpenTelemetry's rule for Kubernetes:
// https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/
type Service struct {
	Name       string
	Namespace  string
	Version    string // "" when nothing tells
	InstanceID string
}

// Service applies the rule. The container is nil when it is not known which
// one of several it is; the instance is the pod then.
func (p *Pod) Service(c *Container) Service {
	annotation := func(name string) string { return p.Annotations[AnnotationPrefix+name] }
	s := Service{
		Name: cmp.Or(annotation("service.name"),
			p.Labels["app.kubernetes.io/instance"], p.Labels["app.kubernetes.io/name"],
			p.workloadName(), p.Name),
		Namespace:  cmp.Or(annotation("service.namespace"), p.Namespace),
		Version:    cmp.Or(annotation("service.version"), p.Labels["app.kubernetes.io/version"]),
		InstanceID: annotation("service.instance.id"),
	}
	if s.InstanceID == "" {
		s.InstanceID = p.Namespace + "." + p.Name
		if c != nil {
			s.InstanceID += "." + c.Name
		}
	}
	if s.Version == "" && c != nil {
		s.Version = c.Image.version()
	}
	return s
}

// workloadName is "" for owners the rule does not know, such as the Node of a
// mirror pod or an operator's own kind.
func (p *Pod) workloadName() string {
	switch p.Workload.Kind {
	case "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "CronJob", "Job":
		return p.Workload.Name
	}
	return ""
}

// version is "tag@digest", or the one of the two that there is.
func (i Image) version() string {
	if i.Tag != "" && i.Digest != "" {
		return i.Tag + "@" + i.Digest
	}
	return cmp.Or(i.Digest, i.Tag)
}

package kubeattrs

import (
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// Attributes that are read as well as written.
const (
	clusterName   = "k8s.cluster.name"
	nodeName      = "k8s.node.name"
	namespaceName = "k8s.namespace.name"
	podName       = "k8s.pod.name"
	podUID        = "k8s.pod.uid"
	podIP         = "k8s.pod.ip"
	containerName = "k8s.container.name"
	restartCount  = "k8s.container.restart_count"
	containerID   = "container.id"
	serviceName   = "service.name"
	urlPath       = "url.path"

	serviceNamespace  = "service.namespace"
	serviceInstanceID = "service.instance.id"
)

// subject is what a resource was found to be about.
type subject struct {
	pod       *kubemeta.Pod
	container *kubemeta.Container // nil when it is not known which
	// exactStart tells that container is the very start the data came from, so
	// that what differs from start to start may be added.
	exactStart bool
}

// table is every attribute that a subject has, in the order of design and
// semantic conventions. An empty string or list is not added.
var table = []struct {
	key   string
	value func(s *subject, service *kubemeta.Service) any // string, int64 or []string
}{
	{nodeName, func(s *subject, _ *kubemeta.Service) any { return s.pod.NodeName }},
	{namespaceName, func(s *subject, _ *kubemeta.Service) any { return s.pod.Namespace }},
	{podName, func(s *subject, _ *kubemeta.Service) any { return s.pod.Name }},
	{podUID, func(s *subject, _ *kubemeta.Service) any { return s.pod.UID }},
	{"k8s.deployment.name", ofWorkload("Deployment")},
	{"k8s.replicaset.name", ofWorkload("ReplicaSet")},
	{"k8s.statefulset.name", ofWorkload("StatefulSet")},
	{"k8s.daemonset.name", ofWorkload("DaemonSet")},
	{"k8s.job.name", ofWorkload("Job")},
	{"k8s.cronjob.name", ofWorkload("CronJob")},
	{containerName, ofContainer(func(c *kubemeta.Container) any { return c.Name })},
	{"container.image.name", ofContainer(func(c *kubemeta.Container) any { return c.Image.Name })},
	{"container.image.tags", ofContainer(func(c *kubemeta.Container) any { return nonEmpty(c.Image.Tag) })},
	{restartCount, ofStart(func(c *kubemeta.Container) any { return int64(c.RestartCount) })},
	{containerID, ofStart(func(c *kubemeta.Container) any { return c.ID })},
	{serviceName, func(_ *subject, service *kubemeta.Service) any { return service.Name }},
	{serviceNamespace, func(_ *subject, service *kubemeta.Service) any { return service.Namespace }},
	{"service.version", func(_ *subject, service *kubemeta.Service) any { return service.Version }},
	{serviceInstanceID, func(_ *subject, service *kubemeta.Service) any { return service.InstanceID }},
}

func ofWorkload(kind string) func(*subject, *kubemeta.Service) any {
	return func(s *subject, _ *kubemeta.Service) any {
		for _, owner := range [...]kubemeta.Owner{s.pod.Workload, s.pod.Owner} {
			if owner.Kind == kind {
				return owner.Name
			}
		}
		return ""
	}
}

func ofContainer(value func(*kubemeta.Container) any) func(*subject, *kubemeta.Service) any {
	return func(s *subject, _ *kubemeta.Service) any {
		if s.container == nil {
			return ""
		}
		return value(s.container)
	}
}

func ofStart(value func(*kubemeta.Container) any) func(*subject, *kubemeta.Service) any {
	return func(s *subject, _ *kubemeta.Service) any {
		if s.container == nil || !s.exactStart || s.container.ID == "" {
			return ""
		}
		return value(s.container)
	}
}

func nonEmpty(tag string) []string {
	if tag == "" {
		return nil
	}
	return []string{tag}
}

// keyValue is one made value.
type keyValue struct {
	key   string
	value any // string, int64 or []string
}

// attributesOf makes the list of a subject: the table, the annotations that
// name attributes outright, then what the configuration asks for.
func attributesOf(s *subject, cfg *Config) []keyValue {
	var list []keyValue
	add := func(key string, value any) {
		known := slices.ContainsFunc(list, func(a keyValue) bool { return a.key == key })
		if !known && !isEmpty(value) {
			list = append(list, keyValue{key, value})
		}
	}
	service := s.pod.Service(s.container)
	for _, row := range table {
		add(row.key, row.value(s, &service))
	}
	// After the table: a pod's author may add to what the cluster says of it, not change it.
	for _, annotation := range slices.Sorted(maps.Keys(s.pod.Annotations)) {
		if key, ok := strings.CutPrefix(annotation, kubemeta.AnnotationPrefix); ok && key != "" {
			add(key, s.pod.Annotations[annotation])
		}
	}
	for _, key := range cfg.Labels {
		add("k8s.pod.label."+key, s.pod.Labels[key])
	}
	for _, key := range cfg.Annotations {
		add("k8s.pod.annotation."+key, s.pod.Annotations[key])
	}
	return list
}

func isEmpty(value any) bool {
	switch v := value.(type) {
	case string:
		return v == ""
	case []string:
		return len(v) == 0
	}
	return false
}

// apply adds the attributes that the map does not have.
func apply(to pcommon.Map, list []keyValue) {
	to.EnsureCapacity(to.Len() + len(list))
	for i := range list {
		a := &list[i]
		v, existed := to.GetOrPutEmpty(a.key)
		if existed && !isPlaceholder(a.key, v) {
			continue
		}
		switch value := a.value.(type) {
		case string:
			v.SetStr(value)
		case int64:
			v.SetInt(value)
		case []string:
			slice := v.SetEmptySlice()
			for _, s := range value {
				slice.AppendEmpty().SetStr(s)
			}
		}
	}
}

// isPlaceholder tells values that count as absent: none, and the service.name
// that SDKs send when nobody told them one. Any other empty text is meant: what
// describes something else, as cluster state does, keeps our node off that way.
func isPlaceholder(key string, v pcommon.Value) bool {
	switch v.Type() {
	case pcommon.ValueTypeEmpty:
		return true
	case pcommon.ValueTypeStr:
		return key == serviceName && (v.Str() == "" || strings.HasPrefix(v.Str(), "unknown_service"))
	}
	return false
}

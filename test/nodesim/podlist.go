package nodesim

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// podList is what a kubelet's /pods answers.
func (n *Node) podList() *corev1.PodList {
	list := &corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	for _, p := range n.pods {
		list.Items = append(list.Items, p.object(n.config.NodeName))
	}
	return list
}

func (p *Pod) object(node string) corev1.Pod {
	o := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: p.Name, Namespace: p.Namespace, UID: types.UID(p.UID), Labels: p.Labels, Annotations: p.Annotations,
			CreationTimestamp: metav1.NewTime(p.Started),
		},
		Spec: corev1.PodSpec{NodeName: node, RestartPolicy: corev1.RestartPolicyAlways, ServiceAccountName: "default"},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, HostIP: "127.0.0.1", HostIPs: []corev1.HostIP{{IP: "127.0.0.1"}},
			PodIP: p.IP.String(), PodIPs: []corev1.PodIP{{IP: p.IP.String()}},
			StartTime: &metav1.Time{Time: p.Started}, QOSClass: p.qos(),
		},
	}
	if p.Owner != nil {
		yes := true
		o.OwnerReferences = []metav1.OwnerReference{{APIVersion: p.Owner.APIVersion, Kind: p.Owner.Kind,
			Name: p.Owner.Name, UID: types.UID(p.Owner.UID), Controller: &yes, BlockOwnerDeletion: &yes}}
	}
	for _, c := range p.Init {
		o.Spec.InitContainers = append(o.Spec.InitContainers, c.spec())
		o.Status.InitContainerStatuses = append(o.Status.InitContainerStatuses, c.object(true))
	}
	for _, c := range p.Containers {
		o.Spec.Containers = append(o.Spec.Containers, c.spec())
		o.Status.ContainerStatuses = append(o.Status.ContainerStatuses, c.object(p.Done))
	}
	ready := corev1.ConditionTrue
	if p.Done {
		o.Status.Phase, ready = corev1.PodSucceeded, corev1.ConditionFalse
		o.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	for _, kind := range []corev1.PodConditionType{"PodReadyToStartContainers", corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(p.Started)}
		if kind == corev1.PodReady || kind == corev1.ContainersReady {
			c.Status = ready
		}
		o.Status.Conditions = append(o.Status.Conditions, c)
	}
	return o
}

func (p *Pod) qos() corev1.PodQOSClass {
	for _, c := range p.Containers {
		if c.requests {
			return corev1.PodQOSBurstable
		}
	}
	return corev1.PodQOSBestEffort
}

func (c *Container) spec() corev1.Container {
	spec := corev1.Container{Name: c.Name, Image: c.Image, ImagePullPolicy: corev1.PullIfNotPresent,
		TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageReadFile}
	if c.requests {
		spec.Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("20m"), "memory": resource.MustParse("16Mi")},
			Limits:   corev1.ResourceList{"cpu": resource.MustParse("200m"), "memory": resource.MustParse("64Mi")},
		}
	}
	return spec
}

func (c *Container) object(terminated bool) corev1.ContainerStatus {
	id, restarts := c.log.identity()
	id = "containerd://" + id
	image, _, _ := strings.Cut(c.Image, "@")
	s := corev1.ContainerStatus{Name: c.Name, Image: image, ImageID: image + "@sha256:" + fmt.Sprintf("%064x", len(c.Image)),
		ContainerID: id, RestartCount: int32(restarts), Ready: !terminated}
	started := !terminated
	s.Started = &started
	begin := metav1.NewTime(c.Pod.Started)
	if terminated {
		end := metav1.NewTime(c.Pod.Started.Add(5 * time.Second))
		s.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: begin, FinishedAt: end, ContainerID: id}
		return s
	}
	s.State.Running = &corev1.ContainerStateRunning{StartedAt: begin}
	if restarts > 0 {
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error", StartedAt: begin, FinishedAt: metav1.Now()}
	}
	return s
}

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const namespaces = 20

func nameOf(i int) (namespace, name string) {
	return fmt.Sprintf("team-%02d", i%namespaces), fmt.Sprintf("checkout-api-7d9f8b6c5d-%05d", i)
}

// fill makes pods as a Deployment's are, on nodes of 100 each, running.
func fill(ctx context.Context, clients []*kubernetes.Clientset, n int) error {
	for i := range namespaces {
		name, _ := nameOf(i)
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := clients[0].CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return spread(clients, n, func(c *kubernetes.Clientset, i int) error {
		p := pod(i)
		made, err := c.CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		made.Status = status(i)
		_, err = c.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, made, metav1.UpdateOptions{})
		return err
	})
}

func pod(i int) *corev1.Pod {
	namespace, name := nameOf(i)
	yes := true
	container := func(name string) corev1.Container {
		return corev1.Container{
			Name: name, Image: "images.example.com/shop/" + name + ":2026.11.3-4f2c9aa",
			Env: []corev1.EnvVar{{Name: "LOG_LEVEL", Value: "info"}, {Name: "DATABASE_URL", Value: "postgres://db.internal:5432/checkout?sslmode=require"}},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("256Mi")},
				Limits:   corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("512Mi")},
			},
			VolumeMounts: []corev1.VolumeMount{{Name: "token", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}},
		}
	}
	seconds := int64(300)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			Labels:      map[string]string{"app.kubernetes.io/name": "checkout", "app.kubernetes.io/instance": namespace, "pod-template-hash": "7d9f8b6c5d"},
			Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "checkout-api-7d9f8b6c5d",
				UID: types.UID(fmt.Sprintf("7b9e4a52-0000-4000-8000-%012d", i)), Controller: &yes, BlockOwnerDeletion: &yes}},
		},
		Spec: corev1.PodSpec{
			NodeName: fmt.Sprintf("ip-10-0-%d-%d.eu-central-1.compute.internal", i/100/256, i/100%256), ServiceAccountName: "checkout",
			Containers: []corev1.Container{container("api"), container("proxy")},
			Tolerations: []corev1.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &seconds},
				{Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &seconds},
			},
			Volumes: []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		},
	}
}

func status(i int) corev1.PodStatus {
	then := metav1.NewTime(time.Now().Add(-time.Duration(i) * time.Second))
	condition := func(t corev1.PodConditionType) corev1.PodCondition {
		return corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: then}
	}
	container := func(name string) corev1.ContainerStatus {
		yes := true
		return corev1.ContainerStatus{
			Name: name, Ready: true, Started: &yes, RestartCount: int32(i % 3), Image: "images.example.com/shop/" + name + ":2026.11.3-4f2c9aa",
			ImageID:     fmt.Sprintf("images.example.com/shop/%s@sha256:%064d", name, 7),
			ContainerID: fmt.Sprintf("containerd://%s%063d", name[:1], i),
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: then}},
		}
	}
	ip := fmt.Sprintf("10.%d.%d.%d", 128+i/65536, i/256%256, i%256)
	return corev1.PodStatus{
		Phase: corev1.PodRunning, QOSClass: corev1.PodQOSBurstable, HostIP: "10.0.0.1", PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: &then,
		Conditions:        []corev1.PodCondition{condition("PodReadyToStartContainers"), condition("Initialized"), condition("Ready"), condition("ContainersReady"), condition("PodScheduled")},
		ContainerStatuses: []corev1.ContainerStatus{container("api"), container("proxy")},
	}
}

// change makes a container of one pod after the other restart once more.
func change(ctx context.Context, clients []*kubernetes.Clientset, pods, n int) error {
	return spread(clients, n, func(c *kubernetes.Clientset, i int) error {
		namespace, name := nameOf(i % pods)
		patch := fmt.Sprintf(`{"status":{"containerStatuses":[{"name":"api","restartCount":%d}]}}`, 100+i/pods)
		_, err := c.CoreV1().Pods(namespace).Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		return err
	})
}

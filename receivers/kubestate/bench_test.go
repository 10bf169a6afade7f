package kubestate

import (
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// usualPod is a running one of a Deployment, with two containers.
func usualPod(i int) *corev1.Pod {
	seconds, yes, then := int64(300), true, metav1.NewTime(time.Unix(1_760_000_000, 0))
	node := fmt.Sprintf("ip-10-0-%d-%d.eu-central-1.compute.internal", i/25600, i/100%256)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fmt.Sprintf("team-%02d", i%20), Name: fmt.Sprintf("checkout-api-7d9f8b6c5d-%05d", i),
			UID: types.UID(fmt.Sprintf("7b9e4a52-0000-4000-8000-%012d", i)), CreationTimestamp: then,
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "checkout-api-7d9f8b6c5d", Controller: &yes}},
		},
		Spec: corev1.PodSpec{
			NodeName: node, ServiceAccountName: "checkout", SchedulerName: "default-scheduler", RestartPolicy: "Always",
			Tolerations: []corev1.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &seconds},
				{Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &seconds},
			},
		},
		Status: corev1.PodStatus{
			Phase: "Running", QOSClass: "Burstable", HostIP: "10.0.0.1", PodIP: "10.128.0.1", PodIPs: []corev1.PodIP{{IP: "10.128.0.1"}}, StartTime: &then,
		},
	}
	for _, c := range []corev1.PodConditionType{"Initialized", "Ready", "ContainersReady", "PodScheduled"} {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: c, Status: "True", LastTransitionTime: then})
	}
	for _, name := range []string{"api", "proxy"} {
		image := "images.example.com/shop/" + name + ":2026.11.3-4f2c9aa"
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: name, Image: image, Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("256Mi")},
			Limits:   corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("512Mi")},
		}})
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: name, Ready: true, Image: image, ImageID: fmt.Sprintf("images.example.com/shop/%s@sha256:%064d", name, 7),
			ContainerID: fmt.Sprintf("containerd://%064d", i), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: then}},
		})
	}
	return p
}

// filled is a store of n pods.
func filled(tb testing.TB, n int) (*store, *watcher) {
	k := pods()
	w := &watcher{kind: k, store: newStore(k, &budget{max: 1 << 40})}
	for i := range n {
		data, err := usualPod(i).Marshal()
		if err != nil {
			tb.Fatal(err)
		}
		meta, err := k.generate(&w.writer, data)
		if err != nil {
			tb.Fatal(err)
		}
		w.store.put(meta.key, w.writer.packer.buf)
	}
	return w.store, w
}

// BenchmarkEvent is one change of a pod, from what the API server sent to its
// packed series.
func BenchmarkEvent(b *testing.B) {
	s, w := filled(b, 1)
	data := [2][]byte{}
	for i := range data {
		p := usualPod(0)
		p.Status.ContainerStatuses[0].RestartCount = int32(i)
		var err error
		if data[i], err = p.Marshal(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		meta, err := w.kind.generate(&w.writer, data[i%2])
		if err != nil {
			b.Fatal(err)
		}
		s.put(meta.key, w.writer.packer.buf)
	}
	b.ReportMetric(float64(len(w.writer.packer.buf)), "B/state")
}

// BenchmarkPass is one interval of 1,000 pods, without what the pipeline does
// with it.
func BenchmarkPass(b *testing.B) {
	s, _ := filled(b, 1000)
	var out batch
	points := 0
	b.ReportAllocs()
	for b.Loop() {
		points = 0
		for slot, more := 0, true; more; {
			out.begin(pcommon.NewTimestampFromTime(time.Now()))
			slot, more = out.fill(s, slot)
			points += out.points
			out.settle(true)
		}
	}
	b.ReportMetric(float64(points), "points/op")
}

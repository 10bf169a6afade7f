package nodesim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"time"
)

// Pod is a simulated pod; it does not change after Start, except for its
// containers' restarts.
type Pod struct {
	Namespace, Name, UID string
	IP                   netip.Addr
	Labels, Annotations  map[string]string
	Owner                *Owner // nil for static pods
	Workload             Owner  // what a person created: the Deployment of a ReplicaSet, the CronJob of a Job
	Service              string // name under which it sends traces, "" if it sends none
	Containers           []*Container
	Init                 []*Container
	Started              time.Time
	Done                 bool // a Job's pod that has succeeded

	sandboxID string
}

// Owner is a Kubernetes object.
type Owner struct{ APIVersion, Kind, Name, UID string }

// Container of a Pod.
type Container struct {
	Pod         *Pod
	Name, Image string
	Stream      string // id in its log lines
	format      lineFormat
	crashing    bool
	requests    bool // has CPU and memory requests and limits

	log *logFile // guarded by its own lock; knows id and restart count
}

// logDir is the folder of the pod's logs, named as the kubelet does.
func (p *Pod) logDir(root string) string {
	return filepath.Join(root, p.Namespace+"_"+p.Name+"_"+p.UID)
}

// workload is what pods are made from.
type workload struct {
	kind, namespace, name string
	containers            []container
	init                  []container
	service               string
	part                  string // app.kubernetes.io/part-of
	crashing, done        bool
}

type container struct {
	name, image string
	format      lineFormat
}

// workloads of a small shop, in the order in which Config.Pods takes them.
// Those that send traces come first.
func workloads(node string) []workload {
	front := workload{kind: "Deployment", namespace: "shop", name: "frontend", part: "shop", service: "frontend",
		containers: []container{{"frontend", "images.example.com/shop/frontend:1.4.2", jsonLines}}}
	payment := workload{kind: "Deployment", namespace: "shop", name: "payment", part: "shop", service: "payment",
		containers: []container{{"payment", "images.example.com/shop/payment:3.0.1", jsonLines}}}
	return []workload{
		front,
		{kind: "Deployment", namespace: "shop", name: "checkout", part: "shop", service: "checkout",
			init: []container{{"migrate", "images.example.com/shop/migrate:2.1.0", textLines}},
			containers: []container{{"checkout", "images.example.com/shop/checkout:2.1.0", jsonLines},
				{"envoy", "images.example.com/envoy:v1.31.0", textLines}}},
		payment,
		front,
		payment,
		{kind: "StatefulSet", namespace: "data", name: "postgres",
			containers: []container{{"postgres", "images.example.com/postgres:17.2", textLines}}},
		{kind: "DaemonSet", namespace: "kube-system", name: "kube-proxy",
			containers: []container{{"kube-proxy", "registry.k8s.io/kube-proxy:v1.37.2", textLines}}},
		{kind: "Static", namespace: "kube-system", name: "etcd-" + node,
			containers: []container{{"etcd", "registry.k8s.io/etcd:3.7.0", jsonLines}}},
		{kind: "Job", namespace: "batch", name: "import", done: true,
			containers: []container{{"import", "images.example.com/batch/import@sha256:" + fmt.Sprintf("%064x", 77), textLines}}},
		{kind: "CronJob", namespace: "batch", name: "report", done: true,
			containers: []container{{"report", "images.example.com/batch/report:9", textLines}}},
		{kind: "Deployment", namespace: "shop", name: "crasher", part: "shop", crashing: true,
			containers: []container{{"crasher", "images.example.com/shop/crasher:0.1", stackTraces}}},
		{kind: "Deployment", namespace: "shop", name: "web-7c58db8d8d-frontend", part: "shop", // a name that looks generated
			containers: []container{{"web", "images.example.com/shop/web:5", textLines}}},
	}
}

// makePods makes n pods; those past the named ones are replicas of workers.
func makePods(n int, node string, r *rand.Rand, now time.Time) []*Pod {
	named := workloads(node)
	made := map[string]*maker{} // pods of one workload share its ReplicaSet
	pods := make([]*Pod, 0, n)
	for i := range n {
		w := workload{kind: "Deployment", namespace: "work", name: fmt.Sprintf("worker-%d", i/8),
			containers: []container{{"worker", "images.example.com/jobs/worker:1", lineFormat(i % 3)}}}
		if i < len(named) {
			w = named[i]
		}
		m := made[w.namespace+"/"+w.name]
		if m == nil {
			m = newMaker(w, node, r)
			made[w.namespace+"/"+w.name] = m
		}
		p := m.pod(r)
		p.IP = netip.AddrFrom4([4]byte{127, 77, byte(1 + i/200), byte(2 + i%200)})
		p.Started = now.Add(-time.Duration(r.IntN(3600)) * time.Second).Truncate(time.Second)
		for j, c := range p.Containers {
			c.Stream = fmt.Sprintf("s%03d-%d", i, j)
		}
		for j, c := range p.Init {
			c.Stream = fmt.Sprintf("s%03d-i%d", i, j)
		}
		pods = append(pods, p)
	}
	return pods
}

// maker makes the pods of one workload, with names as Kubernetes generates them.
type maker struct {
	w       workload
	node    string
	owner   *Owner // of each pod
	root    Owner
	hash    string // of the pod template
	ordinal int
}

func newMaker(w workload, node string, r *rand.Rand) *maker {
	m := &maker{w: w, node: node, hash: suffix(r, 10), root: Owner{"apps/v1", w.kind, w.name, uid(r)}}
	switch w.kind {
	case "Deployment":
		m.owner = &Owner{"apps/v1", "ReplicaSet", w.name + "-" + m.hash, uid(r)}
	case "CronJob":
		m.root.APIVersion = "batch/v1"
		m.owner = &Owner{"batch/v1", "Job", w.name + "-29923496", uid(r)}
	case "Job":
		m.root.APIVersion = "batch/v1"
		m.owner = &m.root
	case "Static":
		m.root = Owner{"v1", "Node", node, uid(r)}
	default:
		m.owner = &m.root
	}
	return m
}

func (m *maker) pod(r *rand.Rand) *Pod {
	w := m.w
	p := &Pod{
		Namespace: w.namespace, Name: m.podName(r), UID: uid(r), Owner: m.owner, Workload: m.root,
		Service: w.service, Done: w.done, sandboxID: hexDigits(r, 64),
		Labels:      map[string]string{"app.kubernetes.io/name": w.name},
		Annotations: map[string]string{"kubernetes.io/config.source": "api"},
	}
	if w.part != "" {
		p.Labels["app.kubernetes.io/part-of"] = w.part
		p.Labels["app.kubernetes.io/version"] = "1"
	}
	m.label(p)
	for _, c := range w.init {
		p.Init = append(p.Init, &Container{Pod: p, Name: c.name, Image: c.image, format: c.format})
	}
	for i, c := range w.containers {
		p.Containers = append(p.Containers, &Container{Pod: p, Name: c.name, Image: c.image, format: c.format,
			crashing: w.crashing, requests: w.kind == "Deployment" && i == 0})
	}
	return p
}

func (m *maker) podName(r *rand.Rand) string {
	switch m.w.kind {
	case "StatefulSet":
		m.ordinal++
		return fmt.Sprintf("%s-%d", m.w.name, m.ordinal-1)
	case "Static":
		return m.w.name
	}
	return m.owner.Name + "-" + suffix(r, 5)
}

// label adds what the controllers add.
func (m *maker) label(p *Pod) {
	switch m.w.kind {
	case "Deployment":
		p.Labels["pod-template-hash"] = m.hash
	case "StatefulSet":
		p.Labels["controller-revision-hash"] = m.w.name + "-" + m.hash
		p.Labels["statefulset.kubernetes.io/pod-name"] = p.Name
		p.Labels["apps.kubernetes.io/pod-index"] = fmt.Sprint(m.ordinal - 1)
	case "DaemonSet":
		p.Labels["controller-revision-hash"] = m.hash
		p.Labels["pod-template-generation"] = "1"
	case "Job", "CronJob":
		p.Labels["batch.kubernetes.io/job-name"] = m.owner.Name
		p.Labels["job-name"] = m.owner.Name
		p.Labels["batch.kubernetes.io/controller-uid"] = m.owner.UID
		p.Labels["controller-uid"] = m.owner.UID
	case "Static":
		// The kubelet names a static pod by the hash of its manifest, in the
		// log folder, too; the API's mirror pod has another uid.
		p.UID = p.sandboxID[:32]
		p.Annotations["kubernetes.io/config.source"] = "file"
		p.Annotations["kubernetes.io/config.hash"] = p.UID
		p.Labels["component"] = "etcd"
		p.Labels["tier"] = "control-plane"
	}
	p.Annotations["kubernetes.io/config.seen"] = "2026-11-23T04:55:43.595117554Z"
}

// suffixLetters are those of generated names: no vowels, nothing that looks
// like another. https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go
const suffixLetters = "bcdfghjklmnpqrstvwxz2456789"

func suffix(r *rand.Rand, n int) string { return pick(r, suffixLetters, n) }

func hexDigits(r *rand.Rand, n int) string { return pick(r, "0123456789abcdef", n) }

func pick(r *rand.Rand, letters string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func uid(r *rand.Rand) string {
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", hexDigits(r, 8), hexDigits(r, 4), hexDigits(r, 3), hexDigits(r, 3), hexDigits(r, 12))
}

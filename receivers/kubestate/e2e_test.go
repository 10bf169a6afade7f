//go:build e2e

package kubestate

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
)

// start runs a receiver as who config is, until the test ends or stop is called.
func start(t *testing.T, server *apiserver.Server, config *rest.Config, written map[string]any) *rig {
	t.Helper()
	kubeconfig, err := server.Kubeconfig(config)
	if err != nil {
		t.Fatal(err)
	}
	written["kubeconfig"] = kubeconfig
	return startWith(t, componenttest.NewNopHost(), written)
}

func clientOf(t *testing.T, server *apiserver.Server) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func makePod(t *testing.T, client *kubernetes.Clientset, name, node string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "registry.example/c"}}}}
	made, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// waiting makes the pod's container wait for a reason.
func waiting(t *testing.T, client *kubernetes.Clientset, pod *corev1.Pod, reason string) *corev1.Pod {
	t.Helper()
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	changed, err := client.CoreV1().Pods(pod.Namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func deletePod(t *testing.T, client *kubernetes.Clientset, name string) {
	t.Helper()
	now := int64(0)
	if err := client.CoreV1().Pods("default").Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) await(t *testing.T, series string, there bool) {
	t.Helper()
	poll(t, fmt.Sprintf("%s there=%v", series, there), func() (bool, string) {
		latest := r.latest()
		_, ok := latest[series]
		return latest != nil && ok == there, strings.Join(keysLike(latest, "kube_pod_"), "\n")
	})
}

func keysLike(all map[string]sample, prefix string) (found []string) {
	for series := range all {
		if strings.HasPrefix(series, prefix) {
			found = append(found, series)
		}
	}
	return found
}

func reasonSeries(pod *corev1.Pod, reason string) string {
	return seriesName("kube_pod_container_status_waiting_reason",
		map[string]string{"namespace": pod.Namespace, "pod": pod.Name, "uid": string(pod.UID), "container": "c", "reason": reason})
}

func createdSeries(pod *corev1.Pod) string {
	return seriesName("kube_pod_created", map[string]string{"namespace": pod.Namespace, "pod": pod.Name, "uid": string(pod.UID)})
}

// TestLifeOfAPod follows one pod on a real API server: values appear, what is
// gone is marked once, a namesake is another pod.
func TestLifeOfAPod(t *testing.T) {
	server := apiserver.Test(t)
	client := clientOf(t, server)
	r := start(t, server, server.Config(), map[string]any{"node": "n1", "collection_interval": "100ms"})

	pod := waiting(t, client, makePod(t, client, "web", "n1"), "ContainerCreating")
	r.await(t, reasonSeries(pod, "ContainerCreating"), true)
	pod = waiting(t, client, pod, "CrashLoopBackOff")
	r.await(t, reasonSeries(pod, "CrashLoopBackOff"), true)
	r.await(t, reasonSeries(pod, "ContainerCreating"), false)
	if n := r.marks(reasonSeries(pod, "ContainerCreating")); n != 1 {
		t.Errorf("the reason that is gone was marked %d times", n)
	}
	whole := keysLike(r.latest(), "kube_pod_")

	r.setAnswer(func(pmetric.Metrics) error { return fmt.Errorf("no room") })
	deletePod(t, client, "web")
	again := makePod(t, client, "web", "n1")
	time.Sleep(500 * time.Millisecond) // some intervals that are refused
	r.setAnswer(nil)
	r.await(t, createdSeries(again), true)
	for _, series := range whole {
		if n := r.marks(series); n != 1 {
			t.Errorf("%s was marked %d times", series, n)
		}
	}
	if n := r.marks(createdSeries(again)); n != 0 {
		t.Errorf("the namesake was marked %d times", n)
	}
	if m, err := r.tel.GetMetric("crowsnest_dropped_items"); err != nil || sum(m) == 0 {
		t.Errorf("refused points are not in the ledger: %v", err)
	}
}

// TestScopesShareACluster checks that a node's receiver and a cluster's together
// tell of each object once.
func TestScopesShareACluster(t *testing.T) {
	server := apiserver.Test(t)
	client := clientOf(t, server)
	onNode, elsewhere, nowhere := makePod(t, client, "a", "n1"), makePod(t, client, "b", "n2"), makePod(t, client, "c", "")
	node := start(t, server, server.Config(), map[string]any{"node": "n1", "collection_interval": "100ms"})
	cluster := start(t, server, server.Config(), map[string]any{"scope": "cluster", "collection_interval": "100ms"})

	node.await(t, createdSeries(onNode), true)
	node.await(t, createdSeries(elsewhere), false)
	node.await(t, createdSeries(nowhere), false)
	cluster.await(t, createdSeries(nowhere), true)
	cluster.await(t, createdSeries(onNode), false)
	cluster.await(t, `kube_namespace_created{namespace="default",}`, true)
	for series := range node.latest() {
		if !strings.HasPrefix(series, "kube_pod_") {
			t.Errorf("every node would tell %s", series)
		}
	}
	for _, series := range []string{"up{}", "scrape_duration_seconds{}", "scrape_samples_scraped{}", "kube_state_metrics_total_shards{}",
		`kube_state_metrics_list_total{resource="*v1.Pod",result="success",}`, `kube_state_metrics_watch_total{resource="*v1.Pod",result="error",}`} {
		cluster.await(t, series, true)
	}
	// A pod goes over when it is scheduled.
	err := client.CoreV1().Pods("default").Bind(t.Context(), &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n1"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.await(t, createdSeries(nowhere), true)
	cluster.await(t, createdSeries(nowhere), false)
}

// TestAPIServerAway checks that the last known state is told while the API
// server is away, and what happened meanwhile afterwards.
func TestAPIServerAway(t *testing.T) {
	server := apiserver.Test(t)
	client := clientOf(t, server)
	kept := makePod(t, client, "kept", "n1")
	r := start(t, server, server.Config(), map[string]any{"node": "n1", "collection_interval": "100ms"})
	r.await(t, createdSeries(kept), true)
	if err := server.StopAPI(); err != nil {
		t.Fatal(err)
	}
	poll(t, "the error is counted", func() (bool, string) {
		m, err := r.tel.GetMetric("crowsnest_kubestate_errors")
		return err == nil && sum(m) > 0, fmt.Sprint(err)
	})
	before := r.wholePasses()
	poll(t, "passes go on", func() (bool, string) { return r.wholePasses() > before+3, "" })
	r.await(t, createdSeries(kept), true)
	if r.marks(createdSeries(kept)) != 0 {
		t.Error("a pod was marked as gone since the API server is")
	}
	if err := server.StartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	deletePod(t, client, "kept")
	after := makePod(t, client, "after", "n1")
	r.await(t, createdSeries(after), true)
	r.await(t, createdSeries(kept), false)
}

// handover is a leader extension whose leader the test says.
type handover struct {
	component.StartFunc
	component.ShutdownFunc
	ctx context.Context
}

// Lead leads until the handover's context ends.
func (h *handover) Lead(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	f(ctx)
}

// TestLeaderHandsOver checks that the next leader goes on with the same series:
// nothing is marked, and nothing is told by the one before any more.
func TestLeaderHandsOver(t *testing.T) {
	server := apiserver.Test(t)
	client := clientOf(t, server)
	pod := makePod(t, client, "web", "n1")
	kubeconfig, err := server.Kubeconfig(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]any{"scope": "all", "leader": "leader", "kubeconfig": kubeconfig, "collection_interval": "100ms"}
	id := component.MustNewID("leader")
	first, cancel := context.WithCancel(t.Context())
	a := startWith(t, hostWith{id: &handover{ctx: first}}, maps.Clone(settings))
	a.await(t, createdSeries(pod), true)
	cancel()
	b := startWith(t, hostWith{id: &handover{ctx: context.Background()}}, maps.Clone(settings))
	b.await(t, createdSeries(pod), true)
	ended := a.wholePasses()
	before := b.wholePasses()
	poll(t, "b goes on", func() (bool, string) { return b.wholePasses() > before+3, "" })
	if a.wholePasses() != ended {
		t.Error("a still tells")
	}
	if a.marks(createdSeries(pod))+b.marks(createdSeries(pod)) != 0 {
		t.Error("the handover marked a series as gone")
	}
}

func TestForbiddenKindIsToldWithRemedy(t *testing.T) {
	server := apiserver.Test(t)
	r := start(t, server, server.NobodyConfig(), map[string]any{"scope": "all", "collection_interval": "100ms"})
	poll(t, "it is told", func() (bool, string) {
		for _, entry := range r.logs.All() {
			if entry.ContextMap()["remedy"] == "grant the service account list and watch on pods, or leave them out of resources" {
				return true, ""
			}
		}
		return false, ""
	})
	r.await(t, `kube_state_metrics_list_total{resource="*v1.Pod",result="error",}`, true)
}

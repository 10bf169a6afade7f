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
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/pmetric"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
)

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

type hostWith map[component.ID]component.Component

// GetExtensions returns the extensions.
func (h hostWith) GetExtensions() map[component.ID]component.Component { return h }

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

func TestStartNamesWhatIsWrong(t *testing.T) {
	server := apiserver.Test(t)
	kubeconfig, err := server.Kubeconfig(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	f := func(host component.Host, written map[string]any, want string) {
		t.Helper()
		written["kubeconfig"] = kubeconfig
		r := createReceiver(t, written)
		if err := r.Start(t.Context(), host); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	none := componenttest.NewNopHost()
	f(none, map[string]any{}, "node: is empty")
	f(none, map[string]any{"scope": "all", "leader": "leader"}, `leader: no extension "leader" is configured`)
	f(hostWith{component.MustNewID("leader"): nothing{}}, map[string]any{"scope": "all", "leader": "leader"}, `leader: extension "leader" elects no leader`)
}

type nothing struct {
	component.StartFunc
	component.ShutdownFunc
}

func TestConfig(t *testing.T) {
	f := func(written map[string]any, want string) {
		t.Helper()
		cfg := NewFactory().CreateDefaultConfig()
		if err := confmap.NewFromStringMap(written).Unmarshal(cfg); err != nil {
			t.Fatal(err)
		}
		err := cfg.(*Config).Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", written, err, want)
		}
	}
	f(map[string]any{}, "")
	f(map[string]any{"scope": "all", "metric_labels_allowlist": map[string]any{"*": []any{"*"}, "pods": []any{"app"}}}, "")
	f(map[string]any{"scope": "some"}, `scope: "some", must be node, cluster or all`)
	f(map[string]any{"leader": "leader"}, `leader: "leader" with scope node`)
	f(map[string]any{"scope": "all", "node": "n"}, `node: "n" with scope all, must be empty`)
	f(map[string]any{"node": "a,b=c"}, `node: "a,b=c" is not a node's name`)
	f(map[string]any{"collection_interval": "1ms"}, "collection_interval: 1ms is not between 100ms and 1h")
	f(map[string]any{"max_bytes": 1}, "max_bytes: 1 is under the least of 1048576")
	f(map[string]any{"resources": []any{"pods", "pod"}}, `resources: "pod" is none of pods, nodes`)
	f(map[string]any{"metric_labels_allowlist": map[string]any{"pod": []any{"app"}}}, `metric_labels_allowlist: "pod" is none of`)
}

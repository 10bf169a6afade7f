//go:build e2e

package kubeevents

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
	"github.com/crowsnest-o11y/crowsnest/test/process"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// overlay lets the aggregators find the API server from outside a cluster, and
// take over fast.
const overlay = `
extensions:
  leader: {kubeconfig: %[1]s, namespace: default, lease_duration: 3s}
receivers:
  kubeevents: {kubeconfig: %[1]s, namespace: default}
`

func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "crowsnest-aggregator")
	out, err := exec.Command("go", "build", "-o", program, "../../cmd/aggregator").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

func startAggregator(t *testing.T, program, name, kubeconfig, loki string) *process.Process {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "overlay.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, overlay, kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	ports, err := process.FreePorts(6)
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	p, err := process.Start(t.Context(), process.Options{
		Name: name, Path: program, Args: []string{"--config", "embedded:aggregator/kubeevents", "--config", config},
		Env: []string{"POD_NAME=" + name, "K8S_CLUSTER_NAME=test", "CROWSNEST_LEASE=crowsnest", "CROWSNEST_EVENTS_LEASE=crowsnest-events",
			"CROWSNEST_LOKI_ENDPOINT=" + loki, "CROWSNEST_OTLP_GRPC_ENDPOINT=" + at(0), "CROWSNEST_HEALTH_ENDPOINT=" + at(1),
			"CROWSNEST_METRICS_HOST=127.0.0.1", fmt.Sprintf("CROWSNEST_METRICS_PORT=%d", ports[2]),
			"CROWSNEST_ZPAGES_ENDPOINT=" + at(3), "CROWSNEST_PPROF_ENDPOINT=" + at(4), "CROWSNEST_STATUS_ENDPOINT=" + at(5)},
		LogPath: filepath.Join(dir, "log"),
		Ready: func(ctx context.Context) error {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at(1))
			if err != nil {
				return err
			}
			return conn.Close()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if log, err := os.ReadFile(p.LogPath()); t.Failed() && err == nil {
			t.Logf("%s: %s", name, log)
		}
	})
	return p
}

// maker makes events in three namespaces and counts some of them on.
type maker struct {
	client *kubernetes.Clientset
	made   int
	last   map[string]int32 // count by name
}

var namespaces = []string{"default", "kube-system", "kube-public"}

// make makes n events; every fifth one occurs three times.
func (m *maker) make(t *testing.T, n int) {
	t.Helper()
	for range n {
		m.made++
		namespace := namespaces[m.made%len(namespaces)]
		name := fmt.Sprintf("event-%04d", m.made)
		now := metav1.NewTime(time.Now())
		e, err := m.client.CoreV1().Events(namespace).Create(t.Context(), &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Name: name},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: "pod-of-" + name},
			Reason:         "Tested", Message: "message of " + name, Type: "Warning", FirstTimestamp: now, LastTimestamp: now, Count: 1,
			Source: corev1.EventSource{Component: "kubelet", Host: "node-7"},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m.last[name] = 1
		for m.made%5 == 0 && m.last[name] < 3 {
			e.Count++
			if e, err = m.client.CoreV1().Events(namespace).Update(t.Context(), e, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			m.last[name]++
		}
	}
}

// makeHostile makes an event with a message of a megabyte, of a time to come.
func (m *maker) makeHostile(t *testing.T) {
	t.Helper()
	const name = "hostile"
	_, err := m.client.CoreV1().Events("default").Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: name},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "pod-of-" + name},
		Reason:         "Tested", Message: strings.Repeat("m", 1<<20), Type: "Warning", Count: -7,
		FirstTimestamp: metav1.NewTime(time.Unix(1, 0)), LastTimestamp: metav1.NewTime(time.Now().AddDate(100, 0, 0)),
		Source: corev1.EventSource{Component: "kubelet", Host: "node-7"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m.last[name] = 1
}

// found counts the occurrences in Loki: by name and count.
func found(t *testing.T, loki *stores.Loki) map[string]int {
	t.Helper()
	occurrences := map[string]int{}
	err := loki.Each(t.Context(), `{service_name="kubernetes-events"}`, time.Now().Add(-time.Hour), time.Now().Add(time.Minute), func(e stores.Entry) error {
		if e.Metadata["k8s_event_reason"] == "Tested" {
			occurrences[e.Metadata["k8s_event_name"]+" "+e.Metadata["k8s_event_count"]]++
			if want := map[string]string{"cluster": "test", "service_name": "kubernetes-events", "namespace": e.Labels["namespace"]}; fmt.Sprint(want) != fmt.Sprint(e.Labels) {
				t.Errorf("labels %v", e.Labels)
			}
			if e.Metadata["k8s_node_name"] != "node-7" || e.Metadata["severity"] != "WARN" || !strings.HasPrefix(e.Line, "Tested Pod "+e.Labels["namespace"]+"/pod-of-"+e.Metadata["k8s_event_name"]) {
				t.Errorf("line %q of %v", e.Line, e.Metadata)
			}
		}
		return nil
	})
	if err != nil {
		t.Log(err) // Loki may be away
	}
	return occurrences
}

// settle waits until the last occurrence of every event is in Loki, and fails
// the test for any that is there twice.
func (m *maker) settle(t *testing.T, loki *stores.Loki) map[string]int {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		got := found(t, loki)
		var missing []string
		for name, count := range m.last {
			if got[fmt.Sprint(name, " ", count)] == 0 {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			for occurrence, times := range got {
				if times != 1 {
					t.Errorf("%s is there %d times", occurrence, times)
				}
			}
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d events are missing: %.10v", len(missing), len(m.last), missing)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func TestEachEventIsInLokiOnce(t *testing.T) {
	program := build(t)
	server := apiserver.Test(t)
	loki := stores.TestLoki(t, stores.Options{})
	kubeconfig, err := server.Kubeconfig(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{client: client, last: map[string]int32{}}
	m.make(t, 50) // before anybody watches
	first := startAggregator(t, program, "first", kubeconfig, loki.URL)
	m.settle(t, loki)
	second := startAggregator(t, program, "second", kubeconfig, loki.URL)
	m.make(t, 50)
	got := m.settle(t, loki)
	for name, count := range m.last {
		if count == 3 && name > "event-0050" && got[name+" 1"]+got[name+" 2"] != 2 {
			t.Errorf("not every occurrence of %s was told while it was watched", name)
		}
	}
	m.makeHostile(t)
	do := func(what string, f func() error) {
		t.Helper()
		t.Log(what)
		if err := f(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		m.make(t, 50)
	}
	do("kill the leader", first.Kill)
	m.settle(t, loki)
	do("start it again", first.Restart)
	do("stop the leader", second.Stop)
	do("Loki goes away", loki.Kill)
	do("and the leader, too", first.Kill)
	do("etcd forgets", func() error { return server.Compact(t.Context()) })
	do("start both", func() error { _ = second.Restart(); return first.Restart() })
	do("Loki comes back", loki.Restart)
	m.settle(t, loki)
	do("the API server goes and comes back", func() error {
		if err := server.StopAPI(); err != nil {
			return err
		}
		return server.StartAPI(t.Context())
	})
	m.settle(t, loki)
	do("Loki hangs", loki.Pause)
	do("and goes on", loki.Resume)
	m.settle(t, loki)
}

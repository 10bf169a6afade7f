//go:build e2e

package cluster_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestClusterLife goes through the life of one cluster, in order.
func TestClusterLife(t *testing.T) {
	o := cluster.DefaultOptions()
	// The highest number, so that it may run beside others.
	o.Number, o.Nodes, o.Dir, o.Backend = 9, 2, t.TempDir(), "native"
	end := func() {
		if err := cluster.Down(context.Background(), o, t.Output()); err != nil {
			t.Errorf("down: %v", err)
		}
	}
	end() // what a killed test left
	before := machineNow(t, "crowsnest9")
	t.Cleanup(end)

	c, err := cluster.Up(t.Context(), o, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	l := &life{c: c, o: o}
	during := machineNow(t, "crowsnest9")
	if len(during.links) == len(before.links) || len(during.namespaces) == len(before.namespaces) {
		t.Fatal("the comparison of before and after does not see the cluster")
	}
	t.Run("nodes", l.nodes)
	t.Run("pods", l.pods)
	t.Run("up again", l.upAgain)
	t.Run("daemons stop and start", l.daemons)
	t.Run("attach", l.attach)
	if t.Failed() {
		l.tell(t)
	}

	end()
	left, err := cluster.Remains(t.Context(), o)
	if err != nil || len(left) > 0 {
		t.Errorf("after down there is still %q (%v)", left, err)
	}
	// The kernel takes network namespaces apart a moment after their last process.
	eventually(t, func() string {
		return cmp.Diff(before, machineNow(t, "crowsnest9"), cmp.AllowUnexported(machine{}))
	})
}

// TestDownNeedsNoFiles: a cluster whose folder is gone can still be ended.
func TestDownNeedsNoFiles(t *testing.T) {
	o := cluster.DefaultOptions()
	o.Number, o.Dir, o.Backend = 9, t.TempDir(), "native"
	if _, err := cluster.Up(t.Context(), o, t.Output()); err != nil {
		t.Error(err)
	}
	cache, err := toolchain.Cache()
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(cache, "cluster9")
	t.Cleanup(func() { os.RemoveAll(state + ".gone") })
	if err := os.Rename(state, state+".gone"); err != nil {
		t.Error(err)
	}
	if err := cluster.Down(t.Context(), o, t.Output()); err != nil {
		t.Error(err)
	}
	if left, err := cluster.Remains(t.Context(), o); err != nil || len(left) > 0 {
		t.Errorf("after down there is still %q (%v)", left, err)
	}
}

type life struct {
	c *cluster.Cluster
	o cluster.Options
}

func (l *life) nodes(t *testing.T) {
	out := l.kubectl(t, "get", "nodes", "-o", `jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`)
	if want := "node-1 True\nnode-2 True\n"; out != want {
		t.Errorf("nodes are %q, want %q", out, want)
	}
}

func (l *life) pods(t *testing.T) {
	program := filepath.Join(t.TempDir(), "prober")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./prober")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build prober: %v\n%s", err, out)
	}
	archive := program + ".tar"
	if err := (cluster.Image{Name: "crowsnest.local/prober:1", Path: "/prober", File: program, User: "65534:65534"}).Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := l.c.ImportImages(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	l.kubectl(t, "apply", "-f", "testdata/prober.yaml")
	l.kubectl(t, "rollout", "status", "daemonset/server", "--timeout=120s")
	l.kubectl(t, "wait", "--for=condition=Complete", "job/kubelet", "job/get", "--timeout=120s")

	// By way of the kubelets' servers, whose certificates the API server verifies.
	if out := l.kubectl(t, "logs", "job/get"); !strings.HasPrefix(out, "server-") {
		t.Errorf("the Service answers %q, want the name of a pod", out)
	}
	pods := strings.Fields(l.kubectl(t, "get", "pods", "-l", "app=kubelet", "-o", "jsonpath={.items[*].metadata.name}"))
	hosts := map[string]bool{}
	for _, pod := range pods {
		hosts[l.kubectl(t, "get", "pod", pod, "-o", "jsonpath={.spec.nodeName}")] = true
		got := l.kubectl(t, "logs", pod)
		want := "/metrics 200\n/metrics/cadvisor 200\n/stats/summary 200\n/pods 200\n/containerLogs/default/none/none 403\n/configz 403\n"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("a kubelet answers otherwise (-want +got):\n%s", diff)
		}
	}
	if len(hosts) != 2 {
		t.Errorf("asked the kubelets of %v, want two nodes", hosts)
	}
}

// upAgain changes how logs rotate, which must not touch what runs.
func (l *life) upAgain(t *testing.T) {
	before := l.kubectl(t, "get", "pods", "-A", "-o", "jsonpath={.items[*].metadata.uid}")
	l.o.LogMaxSize, l.o.LogMaxFiles, l.o.LogMonitorInterval = "256Ki", 4, 3*time.Second
	if _, err := cluster.Up(t.Context(), l.o, t.Output()); err != nil {
		t.Fatal(err)
	}
	if after := l.kubectl(t, "get", "pods", "-A", "-o", "jsonpath={.items[*].metadata.uid}"); after != before {
		t.Errorf("pods were %s, are %s", before, after)
	}
	config := l.kubectl(t, "get", "--raw", "/api/v1/nodes/node-2/proxy/configz")
	if !strings.Contains(config, `"containerLogMaxSize":"256Ki"`) || !strings.Contains(config, `"containerLogMonitorInterval":"3s"`) {
		t.Errorf("kubelet has not taken over the rotation: %s", config)
	}
}

func (l *life) daemons(t *testing.T) {
	if err := l.c.Stop(t.Context(), 1, "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	if out, err := l.c.Kubectl(t.Context(), "get", "nodes", "--request-timeout=5s").CombinedOutput(); err == nil {
		t.Errorf("the stopped API server answers: %s", out)
	}
	if err := l.c.Start(t.Context(), 1, "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	if err := l.c.Kill(t.Context(), 2, "kubelet"); err != nil {
		t.Fatal(err)
	}
	if err := l.c.Stop(t.Context(), 2, "containerd"); err != nil {
		t.Fatal(err)
	}
	// Containers live on without either.
	shims, err := l.c.NodeCommand(t.Context(), 2, "sh", "-c", "cat /proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := shims.Output(); err != nil || !slices.Contains(strings.Fields(string(out)), "prober") {
		t.Errorf("node 2 runs %q (%v), want a prober among it", out, err)
	}
	if err := l.c.Start(t.Context(), 2, "containerd"); err != nil {
		t.Fatal(err)
	}
	if err := l.c.Start(t.Context(), 2, "no-such-daemon"); err == nil || !strings.Contains(err.Error(), "kubelet") {
		t.Errorf("starting an unknown daemon gives %v, want the names of those there are", err)
	}
	// Up mends what does not run: the kubelet.
	if _, err := cluster.Up(t.Context(), l.o, t.Output()); err != nil {
		t.Fatal(err)
	}
	l.kubectl(t, "wait", "--for=condition=Ready", "node/node-2", "--timeout=90s")
}

func (l *life) attach(t *testing.T) {
	o := l.o
	o.Nodes = 1 // is looked up
	c, err := cluster.Attach(t.Context(), o, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := c.NodeCommand(t.Context(), 2, "hostname")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.Output(); err != nil || string(out) != "node-2\n" {
		t.Errorf("hostname of node 2 is %q, %v", out, err)
	}
}

func (l *life) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := l.c.Kubectl(t.Context(), args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		l.tell(t)
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// tell logs what a person would look at.
func (l *life) tell(t *testing.T) {
	for _, args := range [][]string{{"get", "pods", "-A", "-o", "wide"}, {"get", "events", "-A"}} {
		out, err := l.c.Kubectl(context.Background(), args...).CombinedOutput()
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func eventually(t *testing.T, diff func() string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	last := diff()
	for last != "" && time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
		last = diff()
	}
	if last != "" {
		t.Errorf("the machine is not what it was before (-before +after):\n%s", last)
	}
}

//go:build e2e

package alerts

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

const (
	root        = "../.."
	chart       = root + "/deploy/helm/crowsnest"
	workload    = root + "/test/workload/manifests/"
	release     = "crowsnest"
	namespace   = "default" // the manifests of the workload send there
	shop        = "shop"    // namespace of the workload
	clusterName = "e2e"

	// patience is for what never comes, on a machine that has much else to do.
	patience = 15 * time.Minute
)

// installation is the release in its cluster, and the stores that it fills.
type installation struct {
	cluster    *cluster.Cluster
	loki       *stores.Loki
	prometheus *stores.Prometheus
	jaeger     *stores.Jaeger
	transport  http.RoundTripper // an admin's
	start      time.Time
	nodes      [2]string // the first has the stores and the workload, the other can be lost
	ready      bool      // the installation succeeded
	broken     bool      // by breakPods

	lokiStopped bool
}

// running is what installed made, for all tests of the process.
var running *installation

// options: CLUSTER_NUMBER is for running beside another that runs already.
func options() cluster.Options {
	o := cluster.DefaultOptions()
	o.Number, o.Nodes = 8, 2
	if number, err := strconv.Atoi(os.Getenv("CLUSTER_NUMBER")); err == nil {
		o.Number = number
	}
	o.Dir = filepath.Join(root, ".cluster", strconv.Itoa(o.Number))
	return o
}

// installed returns the one installation, which the first test makes.
func installed(t *testing.T) *installation {
	t.Helper()
	if running != nil {
		if !running.ready {
			t.Fatal("the installation failed before")
		}
		t.Cleanup(func() { running.explain(t) })
		return running
	}
	if *attach {
		return attached(t)
	}
	c, err := cluster.Up(t.Context(), options(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{cluster: c}
	running = in
	t.Cleanup(func() { in.explain(t) })
	in.connect(t)
	in.clean(t)
	if err := c.ImportImages(t.Context(), archives(t)...); err != nil {
		t.Fatal(err)
	}
	in.chooseNodes(t)
	in.install(t)
	in.ready = true
	return in
}

// attached returns the installation that an earlier run left.
func attached(t *testing.T) *installation {
	t.Helper()
	c, err := cluster.Attach(t.Context(), options(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{cluster: c, ready: true}
	running = in
	t.Cleanup(func() { in.explain(t) })
	in.connect(t)
	in.nodes = [2]string(strings.Fields(in.kubectl(t, "get", "nodes", "--sort-by=.metadata.name", "--output=jsonpath={.items[*].metadata.name}")))
	made := in.kubectl(t, "--namespace", namespace, "get", "deployment", release+"-aggregator", "--output=jsonpath={.metadata.creationTimestamp}")
	if in.start, err = time.Parse(time.RFC3339, made); err != nil {
		t.Fatal(err)
	}
	return in
}

// down ends the cluster, of which the machine keeps nothing.
func down() error {
	if running == nil {
		return nil
	}
	if err := cluster.Down(context.Background(), options(), os.Stderr); err != nil {
		return err
	}
	left, err := cluster.Remains(context.Background(), options())
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("there is of the cluster: %q", left)
	}
	return err
}

// archives are what make images test-images wrote.
func archives(t *testing.T) []string {
	t.Helper()
	return cluster.TestArchives(t, cmp.Or(os.Getenv("CROWSNEST_IMAGES"), filepath.Join(root, "bin/images")))
}

// connect makes clients that reach Services by way of the API server.
func (in *installation) connect(t *testing.T) {
	t.Helper()
	client, host := in.cluster.TestClient(t)
	in.transport = client.Transport
	service := func(name string) string {
		return host + "/api/v1/namespaces/" + namespace + "/services/" + release + "-" + name + ":http/proxy"
	}
	in.loki = stores.RemoteLoki(service("loki"), client)
	in.prometheus = stores.RemotePrometheus(service("prometheus"), client)
	in.jaeger = stores.RemoteJaeger(service("jaeger"), client)
}

// clean removes what a test that was killed left.
func (in *installation) clean(t *testing.T) {
	t.Helper()
	in.helm(t, "uninstall", release, "--namespace", namespace, "--ignore-not-found", "--wait")
	in.kubectl(t, "delete", "namespace", shop, "--ignore-not-found", "--timeout=5m")
	in.kubectl(t, "delete", "persistentvolume", "--all", "--timeout=5m")
	in.kubectl(t, "delete", "horizontalpodautoscaler,certificatesigningrequest,validatingwebhookconfiguration,mutatingwebhookconfiguration",
		"--selector", "app.kubernetes.io/part-of="+shop, "--all-namespaces", "--ignore-not-found")
}

// chooseNodes keeps everything together on the first node, CoreDNS too, so that
// the other can be lost.
func (in *installation) chooseNodes(t *testing.T) {
	t.Helper()
	nodes := strings.Fields(in.kubectl(t, "get", "nodes", "--sort-by=.metadata.name", "--output=jsonpath={.items[*].metadata.name}"))
	if len(nodes) != 2 {
		t.Fatalf("nodes are %q, want two", nodes)
	}
	in.nodes = [2]string(nodes)
	in.kubectl(t, "cordon", in.nodes[1])
	in.kubectl(t, "--namespace", "kube-system", "rollout", "restart", "deployment/coredns")
	in.kubectl(t, "--namespace", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=3m")
}

// install takes the chart and a workload that nothing is wrong with.
func (in *installation) install(t *testing.T) {
	t.Helper()
	in.start = time.Now()
	in.helm(t, "install", release, chart, "--namespace", namespace, "--values", "testdata/values.yaml",
		"--set", "clusterName="+clusterName)
	in.mountVolume(t, "shop-data", "512m")
	for _, file := range []string{"0-namespace.yaml", "chain.yaml", "cronjob.yaml", "logging.yaml", "statefulset.yaml"} {
		in.kubectl(t, "apply", "-f", workload+file)
	}
	for _, part := range []string{"daemonset/crowsnest-agent", "deployment/crowsnest-aggregator", "deployment/crowsnest-loki",
		"deployment/crowsnest-prometheus", "deployment/crowsnest-jaeger"} {
		in.kubectl(t, "--namespace", namespace, "rollout", "status", part, "--timeout="+patience.String())
	}
	for _, part := range []string{"deployment/frontend", "deployment/checkout", "deployment/payment", "deployment/logging", "statefulset/postgres"} {
		in.kubectl(t, "--namespace", shop, "rollout", "status", part, "--timeout="+patience.String())
	}
	in.kubectl(t, "uncordon", in.nodes[1])
	eventually(t, "series of every rule's interval", func(ctx context.Context) error {
		found, err := in.prometheus.Query(ctx, `namespace_workload_pod:kube_pod_owner:relabel`)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("none yet")
		}
		return err
	})
	t.Logf("installed after %s", time.Since(in.start).Round(time.Second))
}

// mountVolume gives the first node a file system of its own below the folder of
// local volumes, so that the machine's disk has no say in how full it is.
func (in *installation) mountVolume(t *testing.T, name, size string) {
	t.Helper()
	in.onFirst(t, fmt.Sprintf(`dir=/var/lib/crowsnest-test/%s; mkdir -p $dir; grep -q " $dir " /proc/mounts || mount -t tmpfs -o size=%s,mode=1777 tmpfs $dir`, name, size))
}

// eventually asks until there is no error.
func eventually(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	cluster.TestEventually(t, patience, what, ask)
}

// kubectl returns what the command printed.
func (in *installation) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return in.cluster.TestKubectl(t, args...)
}

func (in *installation) helm(t *testing.T, args ...string) string {
	t.Helper()
	return in.cluster.TestHelm(t, args...)
}

// onFirst runs a shell command in the first node.
func (in *installation) onFirst(t *testing.T, script string) {
	t.Helper()
	cmd, err := in.cluster.NodeCommand(t.Context(), 1, "sh", "-ec", script)
	if err != nil {
		t.Fatal(err)
	}
	cluster.TestOutput(t, cmd)
}

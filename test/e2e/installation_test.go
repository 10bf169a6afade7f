//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

const (
	root        = "../.."
	chart       = root + "/deploy/helm/crowsnest"
	release     = "crowsnest"
	namespace   = "default" // the manifests of the workload send there
	shop        = "shop"    // namespace of the workload
	clusterName = "e2e"     // of testdata/values.yaml
)

// installation is the release in its cluster, and the stores that it fills.
type installation struct {
	options    cluster.Options
	cluster    *cluster.Cluster
	client     *http.Client // an admin's
	host       string       // URL of the API server
	nodes      []string     // names, in the order of their numbers
	addresses  []string     // of the nodes, likewise
	loki       *stores.Loki
	prometheus *stores.Prometheus // by remote write
	scraper    *stores.Prometheus // scrapes the aggregators' pages
	jaeger     *stores.Jaeger
	start      time.Time // of the installation
	steady     time.Time // since then all is there

	gone    []corev1.Pod      // of the workload, deleted by the test
	written map[string]uint64 // lines that they wrote, by stream
}

// prepare brings up the cluster with all images, and removes what a test that was
// killed left.
func prepare(t *testing.T) *installation {
	t.Helper()
	o := cluster.DefaultOptions()
	o.Number = *number
	o.Dir = filepath.Join(root, ".cluster", strconv.Itoa(o.Number))
	// Rotate all the time, but keep what is written while an agent restarts.
	o.LogMaxSize, o.LogMaxFiles, o.LogMonitorInterval = "512Ki", 8, 3*time.Second
	c, err := cluster.Up(t.Context(), o, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{options: o, cluster: c, written: map[string]uint64{}}
	in.connect(t)
	in.nodes = strings.Fields(in.kubectl(t, "get", "nodes", "--sort-by=.metadata.name", "--output=jsonpath={.items[*].metadata.name}"))
	in.addresses = strings.Fields(in.kubectl(t, "get", "nodes", "--sort-by=.metadata.name", `--output=jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}`))
	if *attach {
		in.start, in.steady = time.Now(), time.Now().Add(-5*time.Minute)
		patience = 40 * time.Second
		return in
	}
	if err := c.ImportImages(t.Context(), cluster.TestArchives(t, *images)...); err != nil {
		t.Fatal(err)
	}
	in.clean(t)
	for number := 1; number <= len(in.nodes); number++ {
		// Else the agents would deliver what they have of another run.
		in.inNode(t, number, `rm -rf /var/lib/crowsnest/`+namespace+"-"+release)
	}
	in.markNode(t)
	return in
}

// markNode gives the first node the role that it has, and a taint that keeps
// nothing away.
func (in *installation) markNode(t *testing.T) {
	t.Helper()
	in.kubectl(t, "label", "--overwrite", "node", in.nodes[0], "node-role.kubernetes.io/control-plane=")
	in.kubectl(t, "taint", "--overwrite", "node", in.nodes[0], "crowsnest.test/none=:PreferNoSchedule")
}

// connect makes clients that reach Services by way of the API server, which
// works whatever carries the nodes.
func (in *installation) connect(t *testing.T) {
	t.Helper()
	in.client, in.host = in.cluster.TestClient(t)
	t.Cleanup(in.client.CloseIdleConnections)
	service := func(name string) string {
		return in.host + "/api/v1/namespaces/" + namespace + "/services/" + release + "-" + name + ":http/proxy"
	}
	in.loki = stores.RemoteLoki(service("loki"), in.client)
	in.prometheus = stores.RemotePrometheus(service("prometheus"), in.client)
	in.scraper = stores.RemotePrometheus(service("scraper"), in.client)
	in.jaeger = stores.RemoteJaeger(service("jaeger"), in.client)
}

// clean ends release and workload, if they are there.
func (in *installation) clean(t *testing.T) {
	t.Helper()
	in.helm(t, "uninstall", release, "--namespace", namespace, "--ignore-not-found", "--wait")
	in.kubectl(t, "delete", "namespace", shop, "--ignore-not-found", "--timeout=5m")
	in.kubectl(t, "delete", "persistentvolume", "shop-data", "--ignore-not-found", "--timeout=5m")
	in.kubectl(t, "delete", "ingressclass,storageclass,certificatesigningrequest,validatingwebhookconfiguration,mutatingwebhookconfiguration",
		"--selector=app.kubernetes.io/part-of=shop", "--ignore-not-found", "--timeout=5m")
}

// crashers are begun once agents run: of a container's ends, the kubelet keeps the
// log of the last one only.
var crashers = []string{"crashing.yaml", "oom.yaml"}

func manifests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(root + "/test/workload/manifests/*.yaml") // sorted, the namespace first
	if err != nil || len(files) < len(crashers) {
		t.Fatalf("manifests of the workload are %q (%v)", files, err)
	}
	return files
}

// install measures how long it takes from the command to data in each store.
func (in *installation) install(t *testing.T) {
	for _, file := range manifests(t) {
		if !slices.Contains(crashers, filepath.Base(file)) {
			in.kubectl(t, "apply", "-f", file)
		}
	}
	in.start = time.Now()
	in.helm(t, "install", release, chart, "--namespace", namespace,
		"--values", "testdata/values.yaml")
	t.Logf("helm install returned after %s", since(in.start))
	in.awaitData(t, time.Time{})
	in.awaitReady(t)
	t.Logf("all pods Ready after %s", since(in.start))
	in.steady = time.Now().Add(stateInterval)
	for _, file := range crashers {
		in.kubectl(t, "apply", "-f", root+"/test/workload/manifests/"+file)
	}
}

func since(start time.Time) time.Duration { return time.Since(start).Round(100 * time.Millisecond) }

// awaitData waits for data newer than a time in every store, and logs when it
// came.
func (in *installation) awaitData(t *testing.T, after time.Time) {
	t.Helper()
	begin := time.Now()
	if after.IsZero() {
		begin = in.start
	}
	missing := map[string]func(context.Context, time.Time) error{
		"line in Loki": in.newLine, "series in Prometheus": in.newSeries, "series on a page": in.newPage, "trace in Jaeger": in.newTrace,
	}
	eventually(t, "data in every store", func(ctx context.Context) error {
		var last error
		for what, ask := range missing {
			if err := ask(ctx, after); err != nil {
				last = err
				continue
			}
			t.Logf("first %s after %s", what, since(begin))
			delete(missing, what)
		}
		return last
	})
}

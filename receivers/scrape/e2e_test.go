//go:build e2e

package scrape

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

// api is a real API server with the operator's definitions.
type api struct {
	*apiserver.Server
	t      *testing.T
	client *http.Client
}

func startAPI(t *testing.T) *api {
	t.Helper()
	s := apiserver.Test(t)
	client, err := rest.HTTPClientFor(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return &api{s, t, client}
}

// do sends an object, written in YAML, and wants it taken; a read may find nothing yet.
func (a *api) do(method, path, object string) (status int) {
	a.t.Helper()
	var body []byte
	if object != "" {
		var err error
		if body, err = yaml.YAMLToJSON([]byte(object)); err != nil {
			a.t.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(a.t.Context(), method, a.URL()+"/"+path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := a.client.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(answer.Body)
	missing := answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusTooManyRequests // a definition just made
	if answer.StatusCode >= 300 && !(missing && method == http.MethodGet) {
		a.t.Fatalf("%s %s: %s: %s", method, path, answer.Status, said)
	}
	return answer.StatusCode
}

func (a *api) create(path, object string) { a.t.Helper(); a.do(http.MethodPost, path, object) }

// define installs the definitions of PodMonitor and ServiceMonitor.
func (a *api) define() {
	a.t.Helper()
	for _, name := range []string{"podmonitors", "servicemonitors"} {
		text, err := os.ReadFile(filepath.Join(moduleDir(a.t), "example/prometheus-operator-crd/monitoring.coreos.com_"+name+".yaml"))
		if err != nil {
			a.t.Fatal(err)
		}
		a.create("apis/apiextensions.k8s.io/v1/customresourcedefinitions", string(text))
		eventually(a.t, name, func() bool { return a.do(http.MethodGet, monitoring+name, "") == http.StatusOK })
	}
}

func moduleDir(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/prometheus-operator/prometheus-operator")
	cmd.Dir = "../../test/chart/crds"
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("download module: %v\n%s", err, out)
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Dir
}

// runPod makes a pod of node-1 that listens where the address is.
func (a *api) runPod(namespace, name, address, labels string) {
	a.t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		a.t.Fatal(err)
	}
	a.create("api/v1/namespaces/"+namespace+"/pods", fmt.Sprintf(`
metadata: {name: %s, labels: %s}
spec:
  nodeName: node-1
  containers: [{name: main, image: registry.test/web:1, ports: [{name: web, containerPort: %s}]}]
`, name, labels, port))
	a.do(http.MethodPatch, "api/v1/namespaces/"+namespace+"/pods/"+name+"/status", fmt.Sprintf(
		`{status: {phase: Running, podIP: %s, podIPs: [{ip: %s}], conditions: [{type: Ready, status: "True"}]}}`, host, host))
}

// watchedRig is a receiver whose pods come from the API server.
func watchedRig(t *testing.T, a *api, config *rest.Config, change func(*Config)) *rig {
	t.Helper()
	file, err := a.Kubeconfig(config)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config) { c.Kubeconfig = file; change(c) })
	source, err := kubemeta.NewAPIServer(r.cache, kubemeta.APIServerSettings{Config: a.Config(), Node: "node-1", Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); source.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, "pods", r.cache.Synced)
	return r
}

func TestMonitorsOfARealCluster(t *testing.T) {
	a := startAPI(t)
	a.define()
	a.create("api/v1/namespaces", "metadata: {name: shop}")
	var user, password string
	app := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		answer(text, fmt.Sprintf("a{user=%q,secret=%q,path=%q} 1\nb{n=\"1\"} 1\n", user, password, r.URL.String()))(w, r)
	}))
	address := addressOfServer(app)
	a.runPod("shop", "web-1", address, "{app: web, team: storefront}")
	a.create("api/v1/namespaces/shop/services", `
metadata: {name: web-svc, labels: {app: web-svc, tier: front}}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: web}]}
`)
	r := watchedRig(t, a, a.Config(), func(c *Config) { c.Monitors = true })

	t.Run("ServiceMonitor", func(t *testing.T) {
		a.create(monitoring+"namespaces/shop/servicemonitors", `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web-svc}}
  targetLabels: [tier]
  podTargetLabels: [team]
  endpoints:
  - port: http
    interval: 100ms
    scrapeTimeout: 100ms
    path: /m
    metricRelabelings: [{sourceLabels: [__name__], regex: b, action: drop}]
`)
		eventually(t, "series", func() bool { return len(r.store.live(`__name__="a"`)) == 1 })
		want := []string{`{__name__="a", container="main", endpoint="http", instance="` + address + `", job="web-svc", namespace="shop", path="/m", pod="web-1", service="web-svc", team="storefront", tier="front"} 1`}
		if diff := cmp.Diff(want, r.store.lines(`__name__="a"`)); diff != "" {
			t.Error(diff)
		}
		if n := len(r.store.live(`__name__="b"`)); n != 0 {
			t.Errorf("%d series that are dropped", n)
		}
	})
	t.Run("changed", func(t *testing.T) {
		a.do(http.MethodPatch, monitoring+"namespaces/shop/servicemonitors/web", `
spec:
  endpoints:
  - port: http
    interval: 100ms
    scrapeTimeout: 100ms
    path: /other
    relabelings: [{targetLabel: job, replacement: given}]
`)
		eventually(t, "the new labels alone", func() bool {
			return len(r.store.live(`__name__="a"`, `job="given"`, `path="/other"`)) == 1 && len(r.store.live(`__name__="a"`)) == 1 && len(r.store.live(`__name__="b"`)) == 1
		})
	})
	t.Run("pods come and go", func(t *testing.T) {
		a.runPod("shop", "web-2", address, "{app: web}")
		eventually(t, "two", func() bool { return len(r.store.live(`__name__="a"`)) == 2 })
		a.do(http.MethodDelete, "api/v1/namespaces/shop/pods/web-2?gracePeriodSeconds=0", "")
		eventually(t, "one", func() bool { return len(r.store.live(`__name__="a"`)) == 1 })
	})
	t.Run("PodMonitor with a secret", func(t *testing.T) {
		a.create(monitoring+"namespaces/shop/podmonitors", `
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: auth}
spec:
  selector: {matchLabels: {app: web}}
  podMetricsEndpoints:
  - port: web
    interval: 100ms
    scrapeTimeout: 100ms
    basicAuth: {username: {name: login, key: user}, password: {name: login, key: password}}
`)
		eventually(t, "a refusal", func() bool {
			return counters.Sum(t, r.telemetry, "crowsnest_scrape_refused_targets", "reason", refusedSecret) > 0
		})
		if len(r.store.live(`job="shop/auth"`)) != 0 {
			t.Error("scraped without the secret")
		}
		encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
		a.create("api/v1/namespaces/shop/secrets", fmt.Sprintf("metadata: {name: login}\ndata: {user: %s, password: %s}", encode("me"), encode("first")))
		// Credentials are read once a minute, and when a monitor changes.
		a.do(http.MethodPatch, monitoring+"namespaces/shop/podmonitors/auth", "metadata: {labels: {changed: once}}")
		eventually(t, "series by the secret", func() bool {
			return len(r.store.live(`__name__="a"`, `job="shop/auth"`, `user="me"`, `secret="first"`)) == 1
		})
		a.do(http.MethodPatch, "api/v1/namespaces/shop/secrets/login", "data: {password: "+encode("second")+"}")
		a.do(http.MethodPatch, monitoring+"namespaces/shop/podmonitors/auth", "metadata: {labels: {changed: twice}}")
		eventually(t, "series by the new secret", func() bool { return len(r.store.live(`__name__="a"`, `job="shop/auth"`, `secret="second"`)) == 1 })
	})
	t.Run("API server away and back", func(t *testing.T) {
		if err := a.StopAPI(); err != nil {
			t.Fatal(err)
		}
		r.store.mu.Lock()
		before := r.store.requests
		r.store.mu.Unlock()
		eventually(t, "scrapes without it", func() bool { r.store.mu.Lock(); defer r.store.mu.Unlock(); return r.store.requests > before+20 })
		eventually(t, "the same series", func() bool { return len(r.store.live(`__name__="a"`)) == 2 })
		if err := a.StartAPI(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("deleted", func(t *testing.T) {
		a.do(http.MethodDelete, monitoring+"namespaces/shop/servicemonitors/web", "")
		a.do(http.MethodDelete, monitoring+"namespaces/shop/podmonitors/auth", "")
		eventually(t, "no series", func() bool { return len(r.store.live()) == 0 })
	})
}

// Without the definitions there is nothing to do and nothing to say.
func TestClusterWithoutMonitors(t *testing.T) {
	a := startAPI(t)
	r := watchedRig(t, a, a.Config(), func(c *Config) { c.Monitors = true })
	<-r.monitors.podMonitors.ready
	<-r.monitors.serviceMonitors.ready
	if r.logs.Len() != 0 {
		t.Errorf("%v", r.logs.All())
	}
}

func TestMonitorsThatMayNotBeRead(t *testing.T) {
	a := startAPI(t)
	a.define()
	r := watchedRig(t, a, a.NobodyConfig(), func(c *Config) { c.Monitors = true })
	eventually(t, "a warning", func() bool {
		return strings.Contains(fmt.Sprint(r.logs.All()), "grant the agent's service account get, list and watch on podmonitors")
	})
}

// leading is an extension that leads while it is told to.
type leading struct {
	component.StartFunc
	component.ShutdownFunc
	lead chan bool
}

func (l *leading) Lead(ctx context.Context, f func(context.Context)) {
	var end func()
	defer func() {
		if end != nil {
			end()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case lead := <-l.lead:
			if end != nil {
				end()
				end = nil
			}
			if lead {
				leads, cancel := context.WithCancel(ctx)
				done := make(chan struct{})
				go func() { defer close(done); f(leads) }()
				end = func() { cancel(); <-done }
			}
		}
	}
}

func TestAPIServerIsScrapedByTheLeader(t *testing.T) {
	a := startAPI(t)
	file, err := a.Kubeconfig(a.Config())
	if err != nil {
		t.Fatal(err)
	}
	id := component.MustNewID("leader")
	l := &leading{lead: make(chan bool)}
	r := newRig(t, func(c *Config) {
		c.Interval, c.Timeout = time.Second, time.Second
		c.Kubeconfig, c.Leader, c.APIServer = file, &id, true
	}, hostWith{id: l})
	l.lead <- true
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(a.URL(), "https://"))
	resource := `endpoint="https", instance="127.0.0.1:` + port + `", job="apiserver", namespace="default"`
	eventually(t, "up", func() bool { return len(r.store.live(`__name__="up"`, resource, `service="kubernetes"`)) == 1 })
	for _, name := range []string{"apiserver_request_total", "apiserver_request_sli_duration_seconds_bucket", "workqueue_depth", "process_cpu_seconds_total", "go_goroutines"} {
		if len(r.store.live(`__name__="`+name+`"`, `job="apiserver"`)) == 0 {
			t.Errorf("%s is missing", name)
		}
	}
	edges := map[string]bool{}
	for id := range r.store.live(`__name__="apiserver_request_sli_duration_seconds_bucket"`) {
		_, rest, _ := strings.Cut(id, `le="`)
		edge, _, _ := strings.Cut(rest, `"`)
		edges[edge] = true
	}
	for _, edge := range []string{"1.0", "5.0", "30.0", "+Inf"} {
		if !edges[edge] {
			t.Errorf("rules of kubernetes-mixin read le=%q, which is missing in %v", edge, edges)
		}
	}
	if edges["0.15"] || edges["2.0"] {
		t.Errorf("fine buckets were not dropped: %v", edges)
	}
	// The next leader goes on with the same series: they must not be ended here.
	l.lead <- false
	eventually(t, "no more targets", func() bool { return r.apis.version() > 1 })
	time.Sleep(2 * lookInterval)
	if len(r.store.live(`__name__="up"`)) != 1 {
		t.Error("the series were ended by the one who led")
	}
}

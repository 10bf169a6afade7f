package scrape

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"sigs.k8s.io/yaml"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

func parse[T any](t testing.TB, text string) *T {
	t.Helper()
	var v T
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

var webPod = &kubemeta.Pod{
	UID: "u", Name: "web-1", Namespace: "shop", NodeName: "node-1", Phase: "Running", Ready: true,
	IPs:    []netip.Addr{netip.MustParseAddr("10.0.0.7")},
	Labels: map[string]string{"app": "web", "example.com/team": "storefront"},
	Containers: []kubemeta.Container{
		{Name: "main", ID: "c1", Image: kubemeta.Image{Name: "registry.test/web", Tag: "1"}}, {Name: "bare"},
	},
	Ports: []kubemeta.Port{
		{Container: "main", Name: "http", Number: 8080, Protocol: "TCP"},
		{Container: "main", Name: "metrics", Number: 9090, Protocol: "TCP"},
	},
	Owner: kubemeta.Owner{Kind: "ReplicaSet", Name: "web-abc"}, Workload: kubemeta.Owner{Kind: "Deployment", Name: "web"},
}

// matched gives the targets of a monitor, or why there are none.
func matched(t testing.TB, m *monitor, services []*service, pods ...*kubemeta.Pod) (lines []string, refused []string) {
	t.Helper()
	r := &scrapeReceiver{cfg: defaultConfig()}
	source := sourcePodMonitor
	if len(m.Spec.Endpoints) > 0 {
		source = sourceServiceMonitor
	}
	c, refusals := r.compile(m, source, func(_ *compiled, kind string, k keySelector) (string, error) {
		if k.Name == "missing" {
			return "", errors.New(kind + " is not there")
		}
		return k.Name + "." + k.Key, nil
	})
	for _, r := range refusals {
		refused = append(refused, r.reason+": "+r.err.Error())
	}
	if c == nil {
		return nil, refused
	}
	add := func(e *compiledEndpoint, p *kubemeta.Pod, labels map[string]string) {
		target, err := newTarget(e.job, labels)
		if target != nil {
			err = target.checkReach(p.IPs[0])
		}
		if err != nil {
			refused = append(refused, err.Error())
		} else if target != nil {
			lines = append(lines, target.urls[0]+" "+target.labels.String())
		}
	}
	if source == sourcePodMonitor {
		c.podTargets(pods, add)
	} else {
		c.serviceTargets(services, pods, add)
	}
	slices.Sort(lines)
	return lines, refused
}

func TestPodMonitors(t *testing.T) {
	const head = "metadata: {name: mon, namespace: shop}\nspec:\n  selector: {matchLabels: {app: web}}\n"
	for name, c := range map[string]struct {
		spec string
		want []string
	}{
		"by the port's name": {"  podMetricsEndpoints: [{port: metrics}]\n",
			[]string{`http://10.0.0.7:9090/metrics {container="main", endpoint="metrics", instance="10.0.0.7:9090", job="shop/mon", namespace="shop", pod="web-1"}`}},
		"by its number": {"  podMetricsEndpoints: [{portNumber: 8080, path: /m, scheme: https, params: {a: [b, c]}}]\n",
			[]string{`https://10.0.0.7:8080/m?a=b&a=c {container="main", instance="10.0.0.7:8080", job="shop/mon", namespace="shop", pod="web-1"}`}},
		"by the target port": {"  podMetricsEndpoints: [{targetPort: 8080}]\n",
			[]string{`http://10.0.0.7:8080/metrics {container="main", endpoint="8080", instance="10.0.0.7:8080", job="shop/mon", namespace="shop", pod="web-1"}`}},
		"all ports": {"  podMetricsEndpoints: [{}]\n", []string{
			`http://10.0.0.7/metrics {container="bare", instance="10.0.0.7", job="shop/mon", namespace="shop", pod="web-1"}`,
			`http://10.0.0.7:8080/metrics {container="main", instance="10.0.0.7:8080", job="shop/mon", namespace="shop", pod="web-1"}`,
			`http://10.0.0.7:9090/metrics {container="main", instance="10.0.0.7:9090", job="shop/mon", namespace="shop", pod="web-1"}`,
		}},
		"labels of the pod": {"  jobLabel: app\n  podTargetLabels: [example.com/team, none]\n  podMetricsEndpoints: [{port: metrics}]\n",
			[]string{`http://10.0.0.7:9090/metrics {container="main", endpoint="metrics", example_com_team="storefront", instance="10.0.0.7:9090", job="web", namespace="shop", pod="web-1"}`}},
		"relabelling": {"  podMetricsEndpoints:\n  - port: metrics\n    relabelings:\n" +
			"    - {sourceLabels: [__meta_kubernetes_pod_node_name], targetLabel: instance, action: Replace}\n" +
			"    - {sourceLabels: [__meta_kubernetes_pod_label_example_com_team], regex: '(.)(.*)', replacement: '$1', targetLabel: team}\n" +
			"    - {regex: endpoint|container, action: labeldrop}\n" +
			"    - {targetLabel: __metrics_path__, replacement: /other}\n",
			[]string{`http://10.0.0.7:9090/other {instance="node-1", job="shop/mon", namespace="shop", pod="web-1", team="s"}`}},
		"dropped":         {"  podMetricsEndpoints:\n  - port: metrics\n    relabelings: [{sourceLabels: [__meta_kubernetes_pod_phase], regex: Running, action: drop}]\n", nil},
		"other namespace": {"  namespaceSelector: {matchNames: [other]}\n  podMetricsEndpoints: [{port: metrics}]\n", nil},
		"any namespace":   {"  namespaceSelector: {any: true}\n  podMetricsEndpoints: [{port: metrics}]\n", []string{`http://10.0.0.7:9090/metrics {container="main", endpoint="metrics", instance="10.0.0.7:9090", job="shop/mon", namespace="shop", pod="web-1"}`}},
		"no such port":    {"  podMetricsEndpoints: [{port: none}]\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, refused := matched(t, parse[monitor](t, head+c.spec), nil, webPod)
			if diff := cmp.Diff(c.want, got); diff != "" || refused != nil {
				t.Error(diff, refused)
			}
		})
	}
}

func TestPodMonitorSelector(t *testing.T) {
	const m = "metadata: {name: mon, namespace: shop}\nspec:\n  selector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}\n  podMetricsEndpoints: [{port: metrics}]\n"
	if got, _ := matched(t, parse[monitor](t, m), nil, webPod); got != nil {
		t.Errorf("%v", got)
	}
	finished := *webPod
	finished.Finished, finished.Phase = true, "Succeeded"
	const all = "metadata: {name: mon, namespace: shop}\nspec:\n  selector: {}\n  podMetricsEndpoints: [{port: metrics}, {port: metrics, filterRunning: false}]\n"
	if got, _ := matched(t, parse[monitor](t, all), nil, &finished); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestServiceMonitors(t *testing.T) {
	services := []*service{
		parse[service](t, "metadata: {name: web-svc, namespace: shop, labels: {app: web-svc, tier: front, jobname: given}}\n"+
			"spec: {selector: {app: web}, ports: [{name: web, port: 80, targetPort: http}, {name: plain, port: 9090}]}"),
		parse[service](t, "metadata: {name: no-selector, namespace: shop, labels: {app: web-svc}}\nspec: {ports: [{name: web, port: 80}]}"),
		parse[service](t, "metadata: {name: elsewhere, namespace: other, labels: {app: web-svc}}\nspec: {selector: {app: web}, ports: [{name: web, port: 80}]}"),
	}
	const head = "metadata: {name: mon, namespace: shop}\nspec:\n  selector: {matchLabels: {app: web-svc}}\n"
	const common = `namespace="shop", pod="web-1", service="web-svc"`
	for name, c := range map[string]struct {
		spec string
		want []string
	}{
		"by the Service's port": {"  endpoints: [{port: web}]\n",
			[]string{`http://10.0.0.7:8080/metrics {container="main", endpoint="web", instance="10.0.0.7:8080", job="web-svc", ` + common + `}`}},
		"by a port that is its own target": {"  endpoints: [{port: plain}]\n",
			[]string{`http://10.0.0.7:9090/metrics {container="main", endpoint="plain", instance="10.0.0.7:9090", job="web-svc", ` + common + `}`}},
		"by the container's port": {"  endpoints: [{targetPort: metrics}]\n",
			[]string{`http://10.0.0.7:9090/metrics {container="main", endpoint="metrics", instance="10.0.0.7:9090", job="web-svc", ` + common + `}`}},
		"labels": {"  jobLabel: jobname\n  targetLabels: [tier]\n  podTargetLabels: [app]\n  endpoints: [{port: web}]\n",
			[]string{`http://10.0.0.7:8080/metrics {app="web", container="main", endpoint="web", instance="10.0.0.7:8080", job="given", namespace="shop", pod="web-1", service="web-svc", tier="front"}`}},
		"service's meta labels": {"  endpoints: [{port: web, relabelings: [{sourceLabels: [__meta_kubernetes_service_name, __meta_kubernetes_endpointslice_port_name, __meta_kubernetes_endpoint_address_target_kind], targetLabel: x}]}]\n",
			[]string{`http://10.0.0.7:8080/metrics {container="main", endpoint="web", instance="10.0.0.7:8080", job="web-svc", namespace="shop", pod="web-1", service="web-svc", x="web-svc;web;Pod"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, refused := matched(t, parse[monitor](t, head+c.spec), services, webPod)
			if diff := cmp.Diff(c.want, got); diff != "" || refused != nil {
				t.Error(diff, refused)
			}
		})
	}
}

// What cannot be followed is refused by itself, and says why.
func TestRefusedEndpoints(t *testing.T) {
	for spec, want := range map[string]string{
		"{port: metrics, bearerTokenFile: /etc/shadow}":                                                "unsupported: bearerTokenFile",
		"{port: metrics, tlsConfig: {caFile: /etc/ssl/ca}}":                                            "unsupported: bearerTokenFile, caFile",
		"{port: metrics, oauth2: {tokenUrl: x}}":                                                       "unsupported: oauth2",
		"{port: metrics, proxyUrl: 'http://x'}":                                                        "unsupported: proxyUrl",
		"{port: metrics, interval: 10s, scrapeTimeout: 20s}":                                           "invalid: timeout",
		"{port: metrics, interval: often}":                                                             "invalid: interval",
		"{port: metrics, relabelings: [{regex: '('}]}":                                                 "invalid: relabelings[0]: regex",
		"{port: metrics, metricRelabelings: [{action: bend}]}":                                         "invalid: metricRelabelings[0]",
		"{port: metrics, basicAuth: {username: {name: missing, key: u}, password: {name: s, key: p}}}": "secret: basicAuth.username: secrets is not there",
		"{port: metrics, tlsConfig: {ca: {configMap: {name: missing, key: ca}}}}":                      "secret: tlsConfig.ca: configmaps is not there",
		"{port: metrics, authorization: {type: Bearer, credentials: {name: missing, key: token}}}":     "secret: authorization.credentials",
		"{port: metrics, authorization: {type: Basic, credentials: {name: s, key: token}}}":            "secret: ",
	} {
		m := parse[monitor](t, "metadata: {name: mon, namespace: shop}\nspec:\n  selector: {}\n  podMetricsEndpoints: ["+spec+", {port: http}]\n")
		got, refused := matched(t, m, nil, webPod)
		if len(refused) != 1 || !strings.HasPrefix(refused[0], want) || len(got) != 1 {
			t.Errorf("%s: %v, %v", spec, refused, got)
		}
	}
}

// Relabelling must not turn the agent on its own machine.
func TestRelabelledAddresses(t *testing.T) {
	for address, allowed := range map[string]bool{
		"10.0.0.7:1": true, "exporter.monitoring:9115": true, "10.0.0.8:80": true,
		"127.0.0.1:10249": false, "localhost:80": false, "169.254.169.254:80": false, "[::1]:80": false, "0.0.0.0:80": false,
		"[::ffff:127.0.0.1]:80": false, "a/b": false, "u@h:80": false, "": false,
	} {
		m := parse[monitor](t, "metadata: {name: mon, namespace: shop}\nspec:\n  selector: {}\n  podMetricsEndpoints: [{port: http, relabelings: [{targetLabel: __address__, replacement: '"+address+"'}]}]\n")
		if got, refused := matched(t, m, nil, webPod); (len(got) == 1) != allowed || (len(refused) == 0) != allowed {
			t.Errorf("%q: %v, %v", address, got, refused)
		}
	}
}

// A name may stand for anything, and for something else each time it is asked for.
func TestNamesOfTheOwnMachine(t *testing.T) {
	s := serve(t, answer("text/plain", "a 1\n"))
	address := addressOfServer(s)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := dialOthers(t.Context(), "tcp", "localhost:"+port); err == nil || !strings.Contains(err.Error(), "own machine") {
		t.Errorf("localhost: %v, %v", conn, err)
	}
	conn, err := dialOthers(t.Context(), "tcp", address) // a pod that was checked
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	m := parse[monitor](t, "metadata: {name: mon, namespace: shop}\nspec:\n  selector: {}\n  podMetricsEndpoints: [{port: http}]\n")
	r := stoppedRig(t)
	c, _ := r.compile(m, sourcePodMonitor, nil)
	if !c.endpoints[0].job.foreign {
		t.Error("a monitor's names are not checked")
	}
}

func TestSettingsOfMonitors(t *testing.T) {
	m := parse[monitor](t, `
metadata: {name: mon, namespace: shop, uid: u, resourceVersion: "7"}
spec:
  selector: {}
  sampleLimit: 10
  labelLimit: 11
  labelNameLengthLimit: 12
  labelValueLengthLimit: 13
  targetLimit: 14
  bodySizeLimit: 1MB
  scrapeNativeHistograms: true
  scrapeClassicHistograms: true
  podMetricsEndpoints:
  - port: metrics
    interval: 15s
    honorLabels: true
    honorTimestamps: false
    basicAuth: {username: {name: s, key: user}, password: {name: s, key: pass}}
    tlsConfig: {ca: {configMap: {name: c, key: ca}}, serverName: x, insecureSkipVerify: true}
`)
	r := &scrapeReceiver{cfg: defaultConfig(), env: &environment{logger: zap.NewNop()}}
	secret := "one"
	read := func(_ *compiled, _ string, k keySelector) (string, error) { return secret + k.Key, nil }
	compile := func() *job {
		c, refused := r.compile(m, sourcePodMonitor, read)
		if refused != nil {
			t.Fatal(refused)
		}
		return c.endpoints[0].job
	}
	j := compile()
	if got, want := fmt.Sprint(j.limits, j.maxBody, j.targetLimit, j.native, j.classic, j.interval, j.timeout, j.honorLabels, j.honorTimestamps),
		"{10 11 12 13} 1048576 14 true true 15s 10s true false"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if b := j.http.BasicAuth; b.Username != "oneuser" || b.Password != "onepass" || j.http.TLSConfig.CA != "oneca" || !j.http.TLSConfig.InsecureSkipVerify || j.http.TLSConfig.ServerName != "x" {
		t.Errorf("%+v", j.http)
	}
	if again := compile(); again.version != j.version {
		t.Error("another version of the same")
	}
	secret = "two"
	if other := compile(); other.version == j.version {
		t.Error("the same version of other credentials")
	}
	if strings.Contains(j.version, "one") {
		t.Error("credentials are in the version")
	}
}

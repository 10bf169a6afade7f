package kubeattrs

import (
	"fmt"
	"maps"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

const (
	webUID   = "4ecaaf4d-0a79-4e48-9bd7-bd163ab6f689"
	webName  = "web-7c58db8d8d-6887l"
	webID    = "9307e1bc74e2798d919f71a975b2c6ead60ea741cd66afd2d92819aa36f4ba6b"
	waitID   = "e7f1993be72a4b57acf567e4c4ea7f2bbf27ca8ef57af776cb294ee35a604386"
	chatty   = "chatty-6ffcf749f9-7bgp2"
	jsonID   = "27a8e13c005c2290cdbaa1430f499b962d27cb9f4d02facc76f700eb3d98caf4"
	crasher  = "crasher-7d479c5c9f-24f7s"
	crashID  = "afff1f58f39de542edbdf4d91e7eb0d741d1f1993b26bbcd7d6160ac0f770917"
	minutely = "minutely-29923496-5m4kn"
)

// web is everything that is known of the real pod web's container.
func web(changes map[string]any) map[string]any {
	all := map[string]any{
		"k8s.cluster.name":            "lab",
		"k8s.node.name":               "lab-1",
		"k8s.namespace.name":          "shop",
		"k8s.pod.name":                webName,
		"k8s.pod.uid":                 webUID,
		"k8s.deployment.name":         "web",
		"k8s.replicaset.name":         "web-7c58db8d8d",
		"k8s.container.name":          "web",
		"k8s.container.restart_count": int64(0),
		"container.id":                webID,
		"container.image.name":        "lab.local/labtool",
		"container.image.tags":        []any{"1"},
		"service.name":                "web",
		"service.namespace":           "shop",
		"service.version":             "1",
		"service.instance.id":         "shop." + webName + ".web",
	}
	for key, value := range changes {
		if value == nil {
			delete(all, key)
		} else {
			all[key] = value
		}
	}
	return all
}

func TestEveryWayToFindAPodLeadsToTheSameIdentity(t *testing.T) {
	cache := realPods(t)
	tcp := &net.TCPAddr{IP: net.ParseIP("10.244.0.4"), Port: 40000}
	for _, s := range []signal{logs, metrics, traces} {
		f := func(by string, sender net.Addr, resource map[string]any) {
			t.Helper()
			want := web(nil)
			if ip, ok := resource["k8s.pod.ip"]; ok {
				want["k8s.pod.ip"] = ip
			}
			if diff := cmp.Diff(want, enrichOne(t, s, config(), cache, sender, resource)); diff != "" {
				t.Errorf("%s by %s: %s", s, by, diff)
			}
		}
		f("uid", nil, map[string]any{"k8s.pod.uid": webUID})
		f("container id", nil, map[string]any{"container.id": webID})
		f("name", nil, map[string]any{"k8s.namespace.name": "shop", "k8s.pod.name": webName})
		f("address", nil, map[string]any{"k8s.pod.ip": "10.244.0.4"})
		f("address, v4 in v6", nil, map[string]any{"k8s.pod.ip": "::ffff:10.244.0.4"})
		f("gRPC sender", tcp, map[string]any{})
		f("HTTP sender", &net.IPAddr{IP: net.ParseIP("10.244.0.4").To4()}, map[string]any{})
		f("path", nil, map[string]any{
			"k8s.namespace.name": "shop", "k8s.pod.name": webName, "k8s.pod.uid": webUID,
			"k8s.container.name": "web", "k8s.container.restart_count": int64(0),
		})
		f("uid before all else", tcp, map[string]any{"k8s.pod.uid": webUID})
	}
}

func TestContainerOfSeveral(t *testing.T) {
	cache := realPods(t)
	f := func(name string, resource map[string]any, want map[string]any) {
		t.Helper()
		got := enrichOne(t, traces, config(), cache, nil, resource)
		for key, value := range want {
			if diff := cmp.Diff(value, got[key]); diff != "" {
				t.Errorf("%s: %s: %s", name, key, diff)
			}
		}
	}
	inChatty := map[string]any{"k8s.namespace.name": "shop", "k8s.pod.name": chatty}
	f("not told", inChatty, map[string]any{
		"k8s.container.name": nil, "container.id": nil, "container.image.name": nil, "k8s.container.restart_count": nil,
		"service.name": "chatty", "service.instance.id": "shop." + chatty, "service.version": nil,
	})
	inChatty["k8s.container.name"] = "json"
	f("by name", inChatty, map[string]any{"container.id": jsonID, "service.instance.id": "shop." + chatty + ".json"})
	f("by id", map[string]any{"container.id": jsonID}, map[string]any{"k8s.container.name": "json", "k8s.pod.name": chatty})
	inChatty["k8s.container.name"] = "nobody"
	f("unknown", inChatty, map[string]any{"k8s.container.name": "nobody", "container.id": nil, "service.name": "chatty"})
	f("init container", map[string]any{"k8s.pod.uid": webUID, "k8s.container.name": "wait"}, map[string]any{"container.id": waitID})
	f("job", map[string]any{"k8s.namespace.name": "shop", "k8s.pod.name": minutely}, map[string]any{
		"k8s.cronjob.name": "minutely", "k8s.job.name": "minutely-29923496", "service.name": "minutely"})
}

func TestContainerIDOnlyForTheVeryStart(t *testing.T) {
	cache := realPods(t)
	f := func(restarts int64, id any) {
		t.Helper()
		got := enrichOne(t, logs, config(), cache, nil, map[string]any{
			"k8s.namespace.name": "shop", "k8s.pod.name": crasher,
			"k8s.container.name": "crasher", "k8s.container.restart_count": restarts,
		})
		if got["container.id"] != id || got["k8s.container.restart_count"] != restarts || got["container.image.name"] != "lab.local/labtool" {
			t.Errorf("restart %d: %v", restarts, got)
		}
	}
	f(4, crashID) // the current one
	f(3, nil)     // an earlier one: its id is not known
}

func TestExistingValuesWin(t *testing.T) {
	cache := realPods(t)
	f := func(changes map[string]any) {
		t.Helper()
		resource := map[string]any{"k8s.pod.uid": webUID}
		for key, value := range changes {
			resource[key] = value
		}
		if diff := cmp.Diff(web(changes), enrichOne(t, traces, config(), cache, nil, resource)); diff != "" {
			t.Errorf("%v: %s", changes, diff)
		}
	}
	f(map[string]any{"service.name": "own", "service.namespace": "own", "service.version": "own", "service.instance.id": "own"})
	f(map[string]any{"k8s.node.name": "other", "k8s.cluster.name": "other"})
	f(map[string]any{"container.image.tags": []any{"a", "b"}, "unrelated": true})

	for _, placeholder := range []string{"", "unknown_service", "unknown_service:java"} {
		got := enrichOne(t, traces, config(), cache, nil, map[string]any{"k8s.pod.uid": webUID, "service.name": placeholder})
		if got["service.name"] != "web" {
			t.Errorf("placeholder %q stays: %v", placeholder, got["service.name"])
		}
	}
}

func TestEmptyTextKeepsAnAttributeOff(t *testing.T) {
	resource := map[string]any{"service.name": "kube-state-metrics", "k8s.node.name": ""}
	want := map[string]any{"service.name": "kube-state-metrics", "k8s.node.name": "", "k8s.cluster.name": "lab"}
	if diff := cmp.Diff(want, enrichOne(t, metrics, config(), realPods(t), nil, resource)); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutPodsOnlyNodeAndCluster(t *testing.T) {
	sender := &net.TCPAddr{IP: net.ParseIP("10.244.0.4")}
	resource := map[string]any{"k8s.pod.uid": webUID, "k8s.namespace.name": "shop", "k8s.container.name": "app"}
	want := maps.Clone(resource)
	want["k8s.cluster.name"] = "lab"
	for _, s := range []signal{logs, metrics, traces} {
		if diff := cmp.Diff(want, enrichOne(t, s, &Config{Cluster: "lab"}, nil, sender, resource)); diff != "" {
			t.Errorf("%s: %s", s, diff)
		}
	}
}

func TestPodThatContradictsIsNotTaken(t *testing.T) {
	cache := realPods(t)
	sender := &net.TCPAddr{IP: net.ParseIP("10.244.0.4")}
	for _, resource := range []map[string]any{
		{"k8s.pod.uid": "another", "k8s.namespace.name": "shop", "k8s.pod.name": webName},
		{"k8s.pod.uid": "another", "container.id": webID},
		{"k8s.pod.uid": "another", "k8s.pod.ip": "10.244.0.4"},
		{"k8s.pod.uid": "another"},
		{"k8s.namespace.name": "shop", "k8s.pod.name": "gone"}, // a relay sends what another pod said
		{"container.id": "gone"},
		{"k8s.pod.ip": "no address"},
	} {
		got := enrichOne(t, traces, config(), cache, sender, resource)
		want := map[string]any{"k8s.node.name": "lab-1", "k8s.cluster.name": "lab"}
		for key, value := range resource {
			want[key] = value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", resource, diff)
		}
	}
}

func TestEndpointOfTheNodeIsNoPod(t *testing.T) {
	resource := map[string]any{"service.name": "kubelet", "service.instance.id": "10.199.0.2:10250", "url.path": "/metrics/cadvisor"}
	sender := &net.TCPAddr{IP: net.ParseIP("10.244.0.4")} // must not make it the agent's own
	got := enrichOne(t, metrics, config(), realPods(t), sender, resource)
	want := map[string]any{"k8s.node.name": "lab-1", "k8s.cluster.name": "lab"}
	for key, value := range resource {
		want[key] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLogOfUnknownPodHasAService(t *testing.T) {
	path := map[string]any{
		"k8s.namespace.name": "shop", "k8s.pod.name": "new", "k8s.pod.uid": "new", "k8s.container.name": "app",
		"k8s.container.restart_count": int64(0),
	}
	for name, cache := range map[string]*kubemeta.Cache{"empty": kubemeta.NewCache(), "real": realPods(t)} {
		got := enrichOne(t, logs, config(), cache, nil, path)
		want := map[string]any{
			"k8s.node.name": "lab-1", "k8s.cluster.name": "lab",
			"service.name": "app", "service.namespace": "shop", "service.instance.id": "shop.new.app",
		}
		for key, value := range path {
			want[key] = value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got := enrichOne(t, traces, config(), realPods(t), nil, path); got["service.name"] != nil {
		t.Errorf("spans bring their own: %v", got)
	}
}

func TestLabelsAndAnnotationsOnRequest(t *testing.T) {
	cfg := config()
	cfg.Labels = []string{"app", "absent"}
	cfg.Annotations = []string{"example.com/team"}
	got := enrichOne(t, logs, cfg, realPods(t), nil, map[string]any{"k8s.pod.uid": webUID})
	want := web(map[string]any{"k8s.pod.label.app": "web", "k8s.pod.annotation.example.com/team": "storefront"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnnotationsNameAttributesOutright(t *testing.T) {
	cache := kubemeta.NewCache()
	cache.Put(&kubemeta.Pod{UID: "u", Name: "p", Namespace: "n", Annotations: map[string]string{
		"resource.opentelemetry.io/service.name":                "checkout",
		"resource.opentelemetry.io/deployment.environment.name": "prod",
		"resource.opentelemetry.io/":                            "no name",
		"resource.opentelemetry.io/k8s.namespace.name":          "kube-system", // not its own
	}})
	got := enrichOne(t, logs, &Config{Pods: &podsID}, cache, nil, map[string]any{"k8s.pod.uid": "u"})
	want := map[string]any{
		"k8s.pod.uid": "u", "k8s.pod.name": "p", "k8s.namespace.name": "n",
		"service.name": "checkout", "service.namespace": "n", "service.instance.id": "n.p",
		"deployment.environment.name": "prod",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNewVersionOfAPodIsSeen(t *testing.T) {
	cache := realPods(t)
	set, _ := settings(t)
	e, err := newEnricher(set, config(), logs)
	if err != nil {
		t.Fatal(err)
	}
	e.cache = cache
	enrich := func() string {
		attrs := pcommon.NewMap()
		attrs.PutStr("k8s.pod.uid", webUID)
		b := e.begin(t.Context())
		b.enrich(attrs)
		name, _ := attrs.Get("service.name")
		return name.Str()
	}
	before := enrich()
	pod, _ := cache.ByUID(webUID)
	changed := *pod
	changed.Labels = map[string]string{"app.kubernetes.io/name": "renamed"}
	cache.Put(&changed)
	if after := enrich(); before != "web" || after != "renamed" {
		t.Errorf("%q, then %q", before, after)
	}
}

func TestListsAreBounded(t *testing.T) {
	set, _ := settings(t)
	e, err := newEnricher(set, config(), logs)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 * maxLists {
		e.list(&subject{pod: &kubemeta.Pod{UID: fmt.Sprint(n)}})
		if len(e.lists) > maxLists {
			t.Fatalf("%d lists", len(e.lists))
		}
	}
}

func TestOutcomesAreCounted(t *testing.T) {
	set, tel := settings(t)
	p, err := NewFactory().CreateMetrics(t.Context(), set, config(), new(consumertest.MetricsSink))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context(), hostWith(realPods(t))); err != nil {
		t.Fatal(err)
	}
	md := pmetric.NewMetrics()
	for _, resource := range []map[string]any{
		{"k8s.pod.uid": webUID}, {"container.id": webID}, {"k8s.pod.uid": "x"}, {}, {"url.path": "/metrics"},
	} {
		if err := md.ResourceMetrics().AppendEmpty().Resource().Attributes().FromRaw(resource); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.ConsumeMetrics(t.Context(), md); err != nil {
		t.Fatal(err)
	}
	m, err := tel.GetMetric("crowsnest_kubeattrs_resources")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
		name, _ := point.Attributes.Value("outcome")
		got[name.AsString()] = point.Value
	}
	if diff := cmp.Diff(map[string]int64{"enriched": 2, "not_found": 1, "no_identity": 1, "node": 1}, got); diff != "" {
		t.Error(diff)
	}
}

package scrape

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// podAt is a pod that listens where the server does.
func podAt(t testing.TB, s *httptest.Server, name string, annotations map[string]string) *kubemeta.Pod {
	t.Helper()
	host, port, err := net.SplitHostPort(addressOfServer(s))
	if err != nil {
		t.Fatal(err)
	}
	number, _ := strconv.ParseUint(port, 10, 16)
	return &kubemeta.Pod{
		UID: name, Name: name, Namespace: "shop", NodeName: "node-1", Phase: "Running", Ready: true,
		IPs:         []netip.Addr{netip.MustParseAddr(host)},
		Labels:      map[string]string{"app": "web", "example.com/team": "storefront"},
		Annotations: annotations,
		Containers:  []kubemeta.Container{{Name: "main", ID: "c1"}},
		Ports:       []kubemeta.Port{{Container: "main", Name: "http-metrics", Number: uint16(number), Protocol: "TCP"}},
		Workload:    kubemeta.Owner{Kind: "Deployment", Name: "web"},
	}
}

func TestPodsByAnnotation(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(text, fmt.Sprintf("a{url=%q} 1\n", r.URL.String()))(w, r)
	}))
	r := newRig(t, func(c *Config) { c.Annotations = true })
	_, port, _ := net.SplitHostPort(addressOfServer(s))
	r.cache.Put(podAt(t, s, "web-1", map[string]string{annotationScrape: "true", annotationPath: "/own?x=1"}))
	r.cache.Put(podAt(t, s, "other", map[string]string{annotationScrape: "false"}))
	eventually(t, "a scrape", func() bool { return len(r.store.live(`__name__="a"`)) == 1 })
	want := []string{`{__name__="a", container="main", instance="127.0.0.1:` + port + `", job="shop/web", namespace="shop", node="node-1", pod="web-1", service="web", url="/own?x=1"} 1`}
	if diff := cmp.Diff(want, r.store.lines(`__name__="a"`)); diff != "" {
		t.Error(diff)
	}

	// A pod that goes takes its series with it.
	began := time.Now()
	r.cache.Delete("web-1")
	eventually(t, "stale markers", func() bool { return len(r.store.live()) == 0 })
	t.Logf("marked after %v", time.Since(began))
	eventually(t, "memory given back", func() bool { return r.env.series.used.Load() == 0 })
}

func TestAnnotatedPorts(t *testing.T) {
	web, metrics, udp := kubemeta.Port{Container: "c", Name: "http", Number: 80, Protocol: "TCP"},
		kubemeta.Port{Container: "c", Name: "http-metrics", Number: 81, Protocol: "TCP"},
		kubemeta.Port{Container: "c", Name: "dns", Number: 53, Protocol: "UDP"}
	for name, c := range map[string]struct {
		annotation string
		ports      []kubemeta.Port
		want       []uint16
	}{
		"named in the annotation":     {"81", []kubemeta.Port{web, metrics}, []uint16{81}},
		"undeclared":                  {"9999", []kubemeta.Port{web}, []uint16{9999}},
		"none: those called metrics":  {"", []kubemeta.Port{web, metrics, udp}, []uint16{81}},
		"none: all":                   {"", []kubemeta.Port{web, udp}, []uint16{80}},
		"no number":                   {"http", []kubemeta.Port{web}, nil},
		"beyond what a port can be":   {"65536", []kubemeta.Port{web}, nil},
		"none at all":                 {"0", []kubemeta.Port{web}, nil},
		"nothing declared, none said": {"", nil, nil},
	} {
		p := &kubemeta.Pod{Ports: c.ports, Annotations: map[string]string{annotationPort: c.annotation}}
		ports, _ := annotatedPorts(p)
		var got []uint16
		for _, port := range ports {
			got = append(got, port.Number)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A target that comes back must not be marked by the one that went.
func TestPodThatIsReplaced(t *testing.T) {
	s := serve(t, answer(text, "a 1\n"))
	r := newRig(t, func(c *Config) { c.Annotations = true })
	asked := map[string]string{annotationScrape: "true"}
	r.cache.Put(podAt(t, s, "web-1", asked))
	eventually(t, "a scrape", func() bool { return len(r.store.live(`pod="web-1"`, `__name__="a"`)) == 1 })
	second := podAt(t, s, "web-2", asked)
	r.cache.Put(second)
	r.cache.Delete("web-1")
	eventually(t, "the other", func() bool {
		return len(r.store.live(`pod="web-1"`)) == 0 && len(r.store.live(`pod="web-2"`, `__name__="a"`)) == 1
	})
	again := *second
	again.Ready = false // another version, the same target
	again.Annotations = map[string]string{annotationScrape: "true", "x": "y"}
	before := r.store.requests
	r.cache.Put(&again)
	eventually(t, "more scrapes", func() bool { r.store.mu.Lock(); defer r.store.mu.Unlock(); return r.store.requests > before+15 })
	eventually(t, "the same series", func() bool { return len(r.store.live(`pod="web-2"`, `__name__="a"`)) == 1 })
}

func componentPod(name, label, value string, static bool) *kubemeta.Pod {
	p := &kubemeta.Pod{
		UID: name, Name: name, Namespace: "kube-system", NodeName: "node-1", HostNetwork: true,
		IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, Labels: map[string]string{label: value},
		Containers: []kubemeta.Container{{Name: value}},
	}
	if static {
		p.ConfigHash = "hash"
	}
	return p
}

func TestComponentsOfTheControlPlane(t *testing.T) {
	for _, c := range []struct {
		pod  *kubemeta.Pod
		want string
	}{
		{componentPod("s", "component", "kube-scheduler", true), "https://192.0.2.7:10259/metrics https://127.0.0.1:10259/metrics kube-scheduler token"},
		{componentPod("c", "component", "kube-controller-manager", true), "https://192.0.2.7:10257/metrics https://127.0.0.1:10257/metrics kube-controller-manager token"},
		{componentPod("e", "component", "etcd", true), "http://192.0.2.7:2381/metrics http://127.0.0.1:2381/metrics kube-etcd"},
		{componentPod("p", "k8s-app", "kube-proxy", false), "http://192.0.2.7:10249/metrics http://127.0.0.1:10249/metrics kube-proxy"},
		{componentPod("d", "k8s-app", "kube-dns", false), "http://192.0.2.7:9153/metrics http://127.0.0.1:9153/metrics coredns"},
		// A pod that anybody may make must not be handed a token.
		{componentPod("fake", "component", "kube-scheduler", false), ""},
	} {
		r := &scrapeReceiver{cfg: defaultConfig()}
		got := ""
		if found, ok := componentOf(c.pod); ok {
			target, err := r.componentTarget(found, c.pod)
			if err != nil {
				t.Fatal(err)
			}
			got = strings.Join(target.urls, " ") + " " + target.labels.Get("job")
			if target.job.http.Authorization != nil {
				got += " token"
			}
			if instance := target.labels.Get("instance"); !strings.Contains(target.urls[0], "//"+instance+"/") {
				t.Errorf("instance %s", instance)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.pod.Name, got, c.want)
		}
	}
}

// The second address is tried when nothing listens at the first.
func TestComponentOnLoopback(t *testing.T) {
	s := serve(t, answer(text, "a 1\n"))
	r := newRig(t, func(c *Config) { c.Interval, c.Timeout = time.Second, time.Second })
	closed := httptest.NewServer(nil)
	closed.Close()
	j := r.job("control_plane/x", sourceControlPlane)
	j.tentative = true
	found, err := newTarget(j, map[string]string{"__address__": addressOfServer(closed), "job": "x"}, addressOfServer(s))
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(r.env)
	ctx := t.Context()
	p.sync(ctx, []*target{found})
	eventually(t, "a scrape by the second address", func() bool {
		return len(r.store.live(`__name__="up"`, `instance="`+addressOfServer(closed)+`"`)) == 1
	})
	p.sync(ctx, nil)
	eventually(t, "its end", func() bool { return len(r.store.live()) == 0 })
	p.stop()
}

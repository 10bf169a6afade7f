package kubemeta

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

var comparePods = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

func TestRealPodDecodesWhole(t *testing.T) {
	const wait, web = "e7f1993be72a4b57acf567e4c4ea7f2bbf27ca8ef57af776cb294ee35a604386", "9307e1bc74e2798d919f71a975b2c6ead60ea741cd66afd2d92819aa36f4ba6b"
	image := Image{Name: "lab.local/labtool", Tag: "1"}
	want := &Pod{
		UID: "4ecaaf4d-0a79-4e48-9bd7-bd163ab6f689", Name: "web-7c58db8d8d-6887l", Namespace: "shop", NodeName: "lab-1",
		IPs:         []netip.Addr{netip.MustParseAddr("10.244.0.4")},
		Phase:       "Running",
		Ready:       true,
		Ports:       []Port{{Container: "web", Name: "http", Number: 8080, Protocol: "TCP"}},
		Labels:      map[string]string{"app": "web", "pod-template-hash": "7c58db8d8d"},
		Annotations: map[string]string{"example.com/team": "storefront"},
		Containers: []Container{
			{Name: "wait", ID: wait, Image: image, Init: true},
			{Name: "web", ID: web, Image: image},
		},
		Owner:    Owner{"ReplicaSet", "web-7c58db8d8d"},
		Workload: Owner{"Deployment", "web"},
	}
	got := podNamed(t, fixture(t, "apiserver-pods.json"), want.Name)
	if got.CreatedAt.IsZero() || got.StartTime.IsZero() {
		t.Error("times are missing")
	}
	ignored := cmpopts.IgnoreFields(Pod{}, "CreatedAt", "StartTime")
	if diff := cmp.Diff(want, got, comparePods, ignored); diff != "" {
		t.Error(diff)
	}
}

func TestSourcesAgreeOnRealPods(t *testing.T) {
	api := fixture(t, "apiserver-pods.json")
	kubelet := fixture(t, "kubelet-pods.json")
	if len(api) != 19 || len(kubelet) != 18 {
		t.Fatalf("%d pods from the API server, %d from the kubelet", len(api), len(kubelet))
	}
	// Each adds annotations of its own.
	ignored := cmpopts.IgnoreFields(Pod{}, "Annotations")
	for _, p := range kubelet {
		if diff := cmp.Diff(podNamed(t, api, p.Name), p, comparePods, ignored); diff != "" {
			t.Errorf("%s: %s", p.Name, diff)
		}
	}
}

func TestWorkloadsOfRealPods(t *testing.T) {
	want := map[string]Owner{
		"coredns-d5566f66d-lq9jt": {"Deployment", "coredns"},
		"agent-vgxt7":             {"DaemonSet", "agent"},
		"once-lskgq":              {"Job", "once"},
		"minutely-29923496-5m4kn": {"CronJob", "minutely"},
		"probe":                   {},
	}
	pods := fixture(t, "apiserver-pods.json")
	for name, owner := range want {
		if got := podNamed(t, pods, name).Workload; got != owner {
			t.Errorf("%s: %v, want %v", name, got, owner)
		}
	}
}

func TestFormerStartIsReadFromTheStatus(t *testing.T) {
	list, err := DecodePodList(strings.NewReader(`{"items":[{"metadata":{"uid":"u"},
		"spec":{"containers":[{"name":"c","image":"i:1"}]},
		"status":{"containerStatuses":[{"name":"c","containerID":"containerd://new","restartCount":3,
			"lastState":{"terminated":{"containerID":"containerd://old"}}}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	p := list.Pods[0]
	for id, count := range map[string]int{"new": 3, "old": 2} {
		if c, ok := p.ContainerByID(id); !ok || c.RestartCount != count {
			t.Errorf("%s: %+v", id, c)
		}
	}
	// In a crash loop's pause both name the same start.
	crasher := podNamed(t, fixture(t, "kubelet-pods.json"), "crasher-7d479c5c9f-24f7s")
	if len(crasher.Earlier) != 0 || crasher.Containers[0].RestartCount != 4 {
		t.Errorf("%+v", crasher)
	}
}

func TestAnnotationsAreTrimmed(t *testing.T) {
	for _, p := range fixture(t, "apiserver-pods.json") {
		if _, kept := p.Annotations["kubectl.kubernetes.io/last-applied-configuration"]; kept {
			t.Errorf("%s keeps its manifest", p.Name)
		}
	}
	many := map[string]string{"a": "1", "long": strings.Repeat("x", maxValueBytes+1)}
	for i := range 100 {
		many[strings.Repeat("k", 10+i)] = strings.Repeat("v", 500)
	}
	budget := maxKeptBytes
	kept := trim(many, &budget)
	size := 0
	for key, value := range kept {
		size += len(key) + len(value)
	}
	if size > maxKeptBytes || size < maxKeptBytes-700 || kept["a"] != "1" || kept["long"] != "" {
		t.Errorf("kept %d bytes of %d pairs", size, len(kept))
	}
}

func TestOddLists(t *testing.T) {
	f := func(text string, pods, bad int, broken bool) {
		t.Helper()
		list, err := DecodePodList(strings.NewReader(text))
		if broken != (err != nil) {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && !errors.Is(err, kubeapi.ErrMalformed) {
			t.Errorf("%s: %v is not of the content", text, err)
		}
		if err == nil && (len(list.Pods) != pods || list.Malformed != bad) {
			t.Errorf("%s: %d pods, %d malformed", text, len(list.Pods), list.Malformed)
		}
	}
	f(`{"items":[]}`, 0, 0, false)
	f(`{"items":null}`, 0, 0, false)
	f(`{"kind":"PodList","new":{"deep":[1,{}]},"items":[{"metadata":{"uid":"a","new":[1]},"new":1}]}`, 1, 0, false)
	f(`{"items":[{"metadata":{"uid":"a"},"spec":{"nodeName":7}},{"metadata":{"uid":"b"}}]}`, 2, 1, false)
	f(`{"items":[{"metadata":"none"},{"metadata":{"uid":"b"}}]}`, 1, 1, false)
	f(`{"items":[{"metadata":{"uid":"a","creationTimestamp":"never"}}]}`, 1, 1, false)
	f(`{"items":[{"metadata":{"uid":"a","creationTimestamp":null},"status":null}]}`, 1, 0, false)
	f(`{"items":7}`, 0, 0, true)
	f(`{"items":[{"metadata":{"uid":"a"}}`, 0, 0, true)
	f(`{"items":[{"metadata":{"uid":}}]}`, 0, 0, true)
	f(`{"kind":"Status","code":200}`, 0, 0, true)
	f(`<html>login</html>`, 0, 0, true)
	f(``, 0, 0, true)
	f(`[]`, 0, 0, true)
}

func TestListBeyondTheBoundIsTooLarge(t *testing.T) {
	text := `{"items":[{"metadata":{"uid":"` + strings.Repeat("x", 1000) + `"}}]}`
	_, err := DecodePodList(&kubeapi.BoundedReader{R: strings.NewReader(text), Left: 500})
	if kubeapi.ReasonOf(err) != kubeapi.TooLarge {
		t.Errorf("%v", err)
	}
}

func TestServiceOfRealPod(t *testing.T) {
	web := podNamed(t, fixture(t, "apiserver-pods.json"), "web-7c58db8d8d-6887l")
	container, _ := web.OnlyContainer()
	want := Service{Name: "web", Namespace: "shop", Version: "1", InstanceID: "shop.web-7c58db8d8d-6887l.web"}
	if diff := cmp.Diff(want, web.Service(container)); diff != "" {
		t.Error(diff)
	}
	want = Service{Name: "web", Namespace: "shop", InstanceID: "shop.web-7c58db8d8d-6887l"}
	if diff := cmp.Diff(want, web.Service(nil)); diff != "" {
		t.Error(diff)
	}
}

func TestServiceRuleInItsOrder(t *testing.T) {
	p := &Pod{Name: "p", Namespace: "n", Labels: map[string]string{}, Annotations: map[string]string{}}
	c := &Container{Name: "c", Image: Image{Name: "i", Tag: "1", Digest: "sha256:d"}}
	f := func(want Service) {
		t.Helper()
		if diff := cmp.Diff(want, p.Service(c)); diff != "" {
			t.Error(diff)
		}
	}
	f(Service{"p", "n", "1@sha256:d", "n.p.c"})
	p.Workload = Owner{"Node", "lab-1"} // owns mirror pods, names no service
	f(Service{"p", "n", "1@sha256:d", "n.p.c"})
	p.Workload = Owner{"StatefulSet", "db"}
	f(Service{"db", "n", "1@sha256:d", "n.p.c"})
	p.Labels["app.kubernetes.io/name"] = "name"
	p.Labels["app.kubernetes.io/version"] = "2"
	f(Service{"name", "n", "2", "n.p.c"})
	p.Labels["app.kubernetes.io/instance"] = "instance"
	f(Service{"instance", "n", "2", "n.p.c"})
	for _, key := range []string{"name", "namespace", "version", "instance.id"} {
		p.Annotations[AnnotationPrefix+"service."+key] = "own-" + key
	}
	f(Service{"own-name", "own-namespace", "own-version", "own-instance.id"})
}

func TestCronJobNames(t *testing.T) {
	created := time.Unix(29923496*60, 0)
	f := func(job string, created time.Time, want string) {
		t.Helper()
		if got, ok := cronJobName(job, created); got != want || ok != (want != "") {
			t.Errorf("%s: %q %v, want %q", job, got, ok, want)
		}
	}
	f("minutely-29923496", created, "minutely")
	f("minutely-29923496", created.Add(24*time.Hour), "minutely")
	f("minutely-29923496", time.Time{}, "minutely")
	f("a-b-29923496", created, "a-b")
	f("import-20260101", created, "")    // a date, not a schedule
	f("minutely-2992349", created, "")   // too short
	f("minutely-29923496x", created, "") // no number
	f("29923496", created, "")
	f("-29923496", created, "")
	f("once", created, "")
	f("", created, "")
	f("x-99999999999999999999999999", created, "")
}

func TestImageReferences(t *testing.T) {
	const digest = "sha256:fdcdea15f90de4976ec27e251ea1c787c08206cc4d0b106db2ec348a8a4fdd5e"
	f := func(ref string, want Image) {
		t.Helper()
		if got := ParseImage(ref); got != want {
			t.Errorf("%s: %+v", ref, got)
		}
	}
	f("nginx", Image{Name: "nginx"})
	f("nginx:1.25", Image{Name: "nginx", Tag: "1.25"})
	f("registry:5000/team/app", Image{Name: "registry:5000/team/app"})
	f("registry:5000/team/app:v1", Image{Name: "registry:5000/team/app", Tag: "v1"})
	f("registry:5000/app@"+digest, Image{Name: "registry:5000/app", Digest: digest})
	f("registry:5000/app:v1@"+digest, Image{Name: "registry:5000/app", Tag: "v1", Digest: digest})
	f("[fd00::1]:5000/app:v1", Image{Name: "[fd00::1]:5000/app", Tag: "v1"})
	f("[fd00::1]:5000/app", Image{Name: "[fd00::1]:5000/app"})
	f(digest, Image{Digest: digest})
	f("", Image{})
}

func FuzzParseImage(f *testing.F) {
	for _, seed := range []string{"a", "r:5/a:t", "r/a:t@sha256:00", "sha256:", "@", ":", "a:@", "[::]:1/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		img := ParseImage(ref)
		// Nothing is invented, and nothing but the two separators is lost.
		if !strings.HasPrefix(ref, img.Name) || !strings.HasSuffix(ref, img.Digest) ||
			!strings.Contains(ref, img.Tag) || len(img.Name)+len(img.Tag)+len(img.Digest) < len(ref)-2 {
			t.Errorf("%q: %+v", ref, img)
		}
		if strings.Contains(img.Tag, "/") {
			t.Errorf("%q: tag %q is a part of the path", ref, img.Tag)
		}
	})
}

func FuzzWorkload(f *testing.F) {
	f.Add("ReplicaSet", "web-7c58db8d8d", "7c58db8d8d", int64(0))
	f.Add("Job", "minutely-29923496", "", int64(29923496*60))
	f.Fuzz(func(t *testing.T, kind, name, hash string, created int64) {
		owner := Owner{kind, name}
		got := workload(owner, hash, time.Unix(created, 0))
		if got == owner {
			return
		}
		if got.Name == "" || !strings.HasPrefix(name, got.Name+"-") {
			t.Errorf("%v of %v", got, owner)
		}
	})
}

func FuzzDecodePodList(f *testing.F) {
	real, err := os.ReadFile("testdata/kubelet-pods.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(real[:2000])
	f.Add([]byte(`{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"uid":"a","ownerReferences":[{"kind":"Job","name":"a-29923496","controller":true}]},"status":{"podIPs":[{"ip":"::ffff:1.2.3.4"}]}}]}`))
	f.Add([]byte(`{"items":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := DecodePodList(bytes.NewReader(text))
		if err != nil && !errors.Is(err, kubeapi.ErrMalformed) {
			t.Errorf("%v is not marked as malformed", err)
		}
		cache := NewCache()
		cache.Replace(list.Pods)
		for _, p := range list.Pods {
			if _, ok := cache.ByUID(p.UID); !ok {
				t.Errorf("%q is not found", p.UID)
			}
		}
	})
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(podJSON("a", "1")))
	f.Add([]byte(`{"metadata":{"uid":7}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		cache := NewCache()
		a := &APIServer{cache: cache, health: newHealth(cache, zap.NewNop(), apiRemedy)}
		a.Put(text)
		a.Delete(text)
		a.Begin()
		a.Put(text)
		if err := a.End("1"); err != nil {
			t.Error(err)
		}
	})
}

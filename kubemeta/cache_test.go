package kubemeta

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func hasUID(c *Cache, uid string) bool {
	_, ok := c.ByUID(uid)
	return ok
}

// holder is the uid of the pod that has an address.
func holder(c *Cache, ip string) string {
	if p, ok := c.ByIP(netip.MustParseAddr(ip)); ok {
		return p.UID
	}
	return ""
}

func pod(uid, name string, age time.Duration, ips ...string) *Pod {
	p := &Pod{UID: uid, Namespace: "n", Name: name, CreatedAt: time.Now().Add(-age)}
	for _, ip := range ips {
		p.IPs = append(p.IPs, netip.MustParseAddr(ip))
	}
	return p
}

func TestRealPodsAreFoundByEverything(t *testing.T) {
	c := NewCache()
	if c.Synced() {
		t.Error("synced before the first list")
	}
	pods := fixture(t, "kubelet-pods.json")
	c.Replace(pods)
	if !c.Synced() {
		t.Error("not synced after the first list")
	}
	for _, want := range pods {
		if p, ok := c.ByUID(want.UID); !ok || p != want {
			t.Errorf("%s: by uid %v", want.Name, p)
		}
		if p, ok := c.ByName(want.Namespace, want.Name); !ok || p != want {
			t.Errorf("%s: by name %v", want.Name, p)
		}
		for i := range want.Containers {
			id := want.Containers[i].ID
			if p, container, ok := c.ByContainerID(id); id != "" && (!ok || p != want || container != &want.Containers[i]) {
				t.Errorf("%s: by container %s %v", want.Name, id, p)
			}
		}
		if p, ok := c.ByIP(want.IPs[0]); !ok || p != want {
			t.Errorf("%s: by address %v", want.Name, p)
		}
		if p, ok := c.ByIP(netip.AddrFrom16(want.IPs[0].As16())); !ok || p != want {
			t.Errorf("%s: by v4 in v6 %v", want.Name, p)
		}
	}
}

func TestNothingIsFoundByNothing(t *testing.T) {
	c := NewCache()
	c.Put(&Pod{UID: "a", Containers: []Container{{Name: "not started"}}})
	c.Put(&Pod{Name: "without a uid"})
	if _, _, ok := c.ByContainerID(""); ok {
		t.Error("found by empty container id")
	}
	if hasUID(c, "") {
		t.Error("found by empty uid")
	}
	if holder(c, "0.0.0.0") != "" {
		t.Error("found by no address")
	}
}

func TestMirrorPodIsFoundByThePathsUID(t *testing.T) {
	list, err := DecodePodList(strings.NewReader(`{"items":[{"metadata":{"uid":"mirror","annotations":{
		"kubernetes.io/config.hash":"0123abcd","kubernetes.io/config.mirror":"0123abcd"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c := NewCache()
	c.Replace(list.Pods)
	if !hasUID(c, "mirror") || !hasUID(c, "0123abcd") {
		t.Error("not found by both uids")
	}
	c.Replace(nil)
	if !hasUID(c, "0123abcd") {
		t.Error("tombstone is not found by hash")
	}
}

func TestDeletedPodStaysForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache()
		c.Replace([]*Pod{pod("a", "a", 0, "10.0.0.1"), pod("b", "b", 0)})
		c.Delete("a")
		c.Delete("a") // again is nothing
		time.Sleep(Tombstone - time.Second)
		c.Sweep()
		if s := c.Stats(); !hasUID(c, "a") || holder(c, "10.0.0.1") != "a" || s.Pods != 1 || s.Tombstones != 1 {
			t.Errorf("gone too early: %+v", s)
		}
		time.Sleep(2 * time.Second)
		c.Sweep()
		if s := c.Stats(); hasUID(c, "a") || holder(c, "10.0.0.1") != "" || s.Tombstones != 0 {
			t.Errorf("still there: %+v", s)
		}
		if !hasUID(c, "b") {
			t.Error("a living pod is gone")
		}
	})
}

func TestPodThatComesBackIsAliveAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache()
		a := pod("a", "a", 0)
		c.Put(a)
		c.Replace(nil)
		again := *a
		c.Put(&again)
		time.Sleep(2 * Tombstone)
		c.Sweep()
		if s := c.Stats(); !hasUID(c, "a") || s.Pods != 1 || s.Tombstones != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAddressBelongsToTheLastPodThatGotIt(t *testing.T) {
	const ip = "10.0.0.1"
	c := NewCache()
	f := func(want string) {
		t.Helper()
		if got := holder(c, ip); got != want {
			t.Errorf("held by %q, want %q", got, want)
		}
	}
	c.Put(pod("old", "old", time.Hour, ip))
	c.Put(pod("new", "new", time.Minute, ip))
	f("new")
	c.Put(pod("old", "old", time.Hour, ip, "10.0.0.2")) // an update must not take it back
	f("new")
	c.Delete("new")
	f("new")
	c.Put(pod("old", "old", time.Hour, ip)) // alive, while the other one is not
	f("old")

	// A finished pod keeps showing its address after it was given on.
	done := pod("done", "done", 0, "10.0.0.3")
	done.Finished = true
	c.Put(pod("runs", "runs", time.Hour, "10.0.0.3"))
	c.Put(done)
	if got := holder(c, "10.0.0.3"); got != "runs" {
		t.Errorf("held by %q", got)
	}
}

func TestHostNetworkPodsHaveNoAddress(t *testing.T) {
	c := NewCache()
	p := pod("a", "a", 0, "10.0.0.1")
	p.HostNetwork = true
	c.Put(p)
	if got := holder(c, "10.0.0.1"); got != "" {
		t.Errorf("held by %q", got)
	}
}

func TestNameBelongsToTheNewerPod(t *testing.T) {
	c := NewCache()
	c.Put(pod("first", "db-0", time.Hour))
	c.Delete("first")
	c.Put(pod("second", "db-0", 0))
	if p, _ := c.ByName("n", "db-0"); p == nil || p.UID != "second" {
		t.Errorf("%v", p)
	}
	if !hasUID(c, "first") {
		t.Error("the first is not found by its uid")
	}
}

func TestFormerStartsStayFindable(t *testing.T) {
	c := NewCache()
	start := func(n int) *Pod {
		p := pod("a", "a", 0)
		p.Containers = []Container{{Name: "c", ID: fmt.Sprint("id", n), RestartCount: n}}
		return p
	}
	const starts = 3 * maxEarlier
	for n := range starts {
		c.Put(start(n))
	}
	for n := range starts {
		p, container, ok := c.ByContainerID(fmt.Sprint("id", n))
		if want := n >= starts-1-maxEarlier; ok != want {
			t.Errorf("start %d: found %v, want %v", n, ok, want)
		}
		if !ok {
			continue
		}
		if container.RestartCount != n {
			t.Errorf("start %d: %+v", n, container)
		}
		if got, ok := p.ContainerStart("c", n); !ok || got.ID != container.ID {
			t.Errorf("start %d: by count %+v", n, got)
		}
	}
}

func TestUnchangedPodKeepsItsPointer(t *testing.T) {
	c := NewCache()
	c.Replace(fixture(t, "kubelet-pods.json"))
	before, _ := c.ByName("shop", "web-7c58db8d8d-6887l")
	c.Replace(fixture(t, "kubelet-pods.json"))
	after, _ := c.ByName("shop", "web-7c58db8d8d-6887l")
	if before != after {
		t.Error("another pointer, which makes everything derived from it anew")
	}
	changed := *before
	changed.Labels = map[string]string{"app": "other"}
	c.Put(&changed)
	if p, _ := c.ByUID(before.UID); p == before || p.Labels["app"] != "other" || before.Labels["app"] != "web" {
		t.Error("a change is not taken, or was made in place")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCache()
	for n := range maxTombstones + 10 {
		uid := fmt.Sprint(n)
		c.Put(pod(uid, uid, 0))
		c.Delete(uid)
	}
	if s := c.Stats(); s.Tombstones != maxTombstones || hasUID(c, "9") || !hasUID(c, "10") {
		t.Errorf("tombstones: %+v", s)
	}

	big := func(n int) *Pod {
		p := pod(fmt.Sprint("big", n), fmt.Sprint("big", n), 0)
		p.Labels = map[string]string{"k": strings.Repeat("x", maxBytes/10)}
		return p
	}
	for n := range 20 {
		c.Put(big(n))
	}
	s := c.Stats()
	if s.Bytes > maxBytes || s.Tombstones != 0 || s.Pods != 9 || s.Refused != 11 {
		t.Errorf("bytes: %+v", s)
	}
	c.Put(big(0)) // known: must be taken
	if again := c.Stats(); again.Refused != s.Refused {
		t.Error("a known pod is refused")
	}
	c.Replace(nil)
	c.Put(big(100)) // tombstones give way
	if !hasUID(c, "big100") {
		t.Error("a tombstone is kept for a living pod")
	}
}

// The estimate of bytes returns to zero, so nothing is leaked by its count.
func TestForgettingReturnsEveryByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache()
		c.Replace(fixture(t, "kubelet-pods.json"))
		c.Replace(fixture(t, "apiserver-pods.json"))
		c.Replace(nil)
		time.Sleep(2 * Tombstone)
		c.Sweep()
		if len(c.byUID)+len(c.byHash)+len(c.byName)+len(c.byID)+len(c.byIP)+c.dead.Len() != 0 || c.bytes != 0 {
			t.Errorf("%d bytes, %+v", c.bytes, c.Stats())
		}
	})
}

func TestLookupsRaceWithChanges(t *testing.T) {
	c := NewCache()
	pods := fixture(t, "kubelet-pods.json")
	c.Replace(pods)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				for _, p := range pods {
					if got, ok := c.ByUID(p.UID); !ok || got.Name != p.Name {
						t.Errorf("%s is lost", p.Name)
					}
					c.ByIP(p.IPs[0])
					c.ByContainerID(p.Containers[0].ID)
					c.ByName(p.Namespace, p.Name)
				}
				c.Stats()
			}
		})
	}
	for n := range 100 {
		c.Delete(pods[n%len(pods)].UID)
		c.Replace(fixture(t, "kubelet-pods.json"))
	}
	wg.Wait()
}

func TestDisabledCacheIsNotWaitedFor(t *testing.T) {
	c := NewCache()
	if !c.Available() {
		t.Error("not available before any source said so")
	}
	c.Disable()
	if c.Available() || !c.Synced() {
		t.Error("a consumer would wait for ever")
	}
}

func TestPodsAreThoseThatExist(t *testing.T) {
	c := NewCache()
	c.Replace([]*Pod{pod("a", "one", time.Minute), pod("b", "two", time.Minute)})
	c.Delete("a")
	if pods := c.Pods(); len(pods) != 1 || pods[0].UID != "b" {
		t.Errorf("%v", pods)
	}
}

// A pod that becomes ready, or whose ports change, is another version.
func TestReadinessAndPortsAreOfTheVersion(t *testing.T) {
	c := NewCache()
	c.Put(pod("a", "one", time.Minute))
	first, _ := c.ByUID("a")
	ready := *first
	ready.Ready = true
	c.Put(&ready)
	second, _ := c.ByUID("a")
	ports := *second
	ports.Ports = []Port{{Container: "c", Number: 8080, Protocol: "TCP"}}
	c.Put(&ports)
	if third, _ := c.ByUID("a"); first == second || second == third {
		t.Error("a change was taken for none")
	}
}

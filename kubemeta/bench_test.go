package kubemeta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
)

// nodeOf110 is a list of 110 pods, made of real ones with names of their own.
func nodeOf110(tb testing.TB) []byte {
	text, err := os.ReadFile("testdata/kubelet-pods.json")
	if err != nil {
		tb.Fatal(err)
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		tb.Fatal(err)
	}
	var items []string
	for n := range 110 {
		item := string(list.Items[n%len(list.Items)])
		item = strings.NewReplacer(
			`"uid":"`, fmt.Sprintf(`"uid":"%03d`, n), `"uid": "`, fmt.Sprintf(`"uid": "%03d`, n),
			"containerd://", fmt.Sprintf("containerd://%03d", n),
			"10.244.0.", fmt.Sprintf("10.244.%d.", n)).Replace(item)
		items = append(items, item)
	}
	return []byte(`{"items":[` + strings.Join(items, ",") + `]}`)
}

func full(tb testing.TB) *Cache {
	list, err := DecodePodList(bytes.NewReader(nodeOf110(tb)))
	if err != nil {
		tb.Fatal(err)
	}
	c := NewCache()
	c.Replace(list.Pods)
	if s := c.Stats(); s.Pods != 110 {
		tb.Fatalf("%+v", s)
	}
	return c
}

// Pods are a part of the agent's 60 MiB; 4 KiB each is what they may cost.
func TestHeapOf110Pods(t *testing.T) {
	text := nodeOf110(t)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	list, err := DecodePodList(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := NewCache()
	c.Replace(list.Pods)
	list = PodList{}
	used := heap() - before
	t.Logf("110 pods hold %d KiB; estimated %d KiB", used>>10, c.Stats().Bytes>>10)
	if used > 110*4<<10 {
		t.Errorf("110 pods hold %d bytes", used)
	}
	runtime.KeepAlive(c)
	runtime.KeepAlive(text)
}

func BenchmarkLookup(b *testing.B) {
	c := full(b)
	pod, ok := c.ByIP(netip.MustParseAddr("10.244.0.6"))
	if !ok {
		b.Fatal("no pod")
	}
	ip, id := pod.IPs[0], pod.Containers[0].ID
	for name, lookup := range map[string]func() bool{
		"uid":       func() bool { _, ok := c.ByUID(pod.UID); return ok },
		"name":      func() bool { _, ok := c.ByName(pod.Namespace, pod.Name); return ok },
		"container": func() bool { _, _, ok := c.ByContainerID(id); return ok },
		"ip":        func() bool { _, ok := c.ByIP(ip); return ok },
		"missing":   func() bool { _, ok := c.ByUID("00000000-0000-0000-0000-000000000000"); return !ok },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !lookup() {
					b.Fatal("wrong answer")
				}
			}
		})
	}
}

func BenchmarkDecodePodList(b *testing.B) {
	text := nodeOf110(b)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodePodList(bytes.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReplaceUnchanged(b *testing.B) {
	c := full(b)
	list, err := DecodePodList(bytes.NewReader(nodeOf110(b)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Replace(list.Pods)
	}
}

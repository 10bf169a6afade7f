package kubemeta

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// kubelet answers /pods as a test says.
type kubelet struct {
	mu     sync.Mutex
	answer http.HandlerFunc
	polls  int
}

func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.polls++
	handler := k.answer
	k.mu.Unlock()
	handler(w, r)
}

func (k *kubelet) set(handler http.HandlerFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answer = handler
}

// polled is a kubelet source that runs against a fake kubelet.
type polled struct {
	*kubelet
	net   *pipeNet
	cache *Cache
	logs  *observer.ObservedLogs
}

func polling(t *testing.T, first http.HandlerFunc, up bool, body func(t *testing.T, p *polled)) {
	synctest.Test(t, func(t *testing.T) {
		p := &polled{kubelet: &kubelet{answer: first}, net: newPipeNet(), cache: NewCache()}
		p.net.setDown(!up)
		p.net.serve(t, p.kubelet)
		core, logs := observer.New(zap.InfoLevel)
		p.logs = logs
		source := NewKubelet(p.cache, KubeletSettings{
			Client: &http.Client{Transport: &http.Transport{DialContext: p.net.dial}},
			URL:    "http://kubelet.test:10250/pods",
			Logger: zap.New(core),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() { source.Run(ctx) })
		body(t, p)
	})
}

func realPods(t *testing.T) http.HandlerFunc {
	text, err := os.ReadFile("testdata/kubelet-pods.json")
	if err != nil {
		t.Fatal(err)
	}
	return answer(200, string(text))
}

func TestKubeletsRealPods(t *testing.T) {
	polling(t, realPods(t), true, func(t *testing.T, p *polled) {
		settle(time.Second)
		if s := p.cache.Stats(); s.Pods != 18 || !p.cache.Synced() {
			t.Errorf("%+v", s)
		}
		before, _ := p.cache.ByName("shop", "web-7c58db8d8d-6887l")
		settle(time.Minute)
		if after, _ := p.cache.ByName("shop", "web-7c58db8d8d-6887l"); before != after {
			t.Error("an unchanged pod changed its pointer")
		}
		if p.polls < 10 || p.polls > 30 {
			t.Errorf("%d polls in a minute", p.polls)
		}
		p.set(answer(200, listOf("", podJSON("new", ""))))
		settle(10 * time.Second)
		if s := p.cache.Stats(); s.Pods != 1 || s.Tombstones != 18 {
			t.Errorf("%+v", s)
		}
		settle(2 * Tombstone)
		if s := p.cache.Stats(); s.Pods != 1 || s.Tombstones != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestKubeletFaults(t *testing.T) {
	for name, f := range map[string]struct {
		answer http.HandlerFunc
		reason Reason
		remedy string
	}{
		"401":     {answer(401, "Unauthorized"), kubeapi.Unauthorized, "kubelet.token_file"},
		"403":     {answer(403, "Forbidden"), kubeapi.Forbidden, "nodes/pods"},
		"503":     {answer(503, "starting"), kubeapi.Refused, ""},
		"hang":    {hang, kubeapi.Timeout, "kubelet.endpoint"},
		"half":    {cut(`{"items":[{"metadata":{"uid":"a"}},`), kubeapi.Unreachable, ""},
		"garbage": {answer(200, "<html>"), kubeapi.Malformed, "https"},
	} {
		t.Run(name, func(t *testing.T) {
			polling(t, realPods(t), true, func(t *testing.T, p *polled) {
				settle(10 * time.Second)
				p.set(f.answer)
				settle(5 * time.Minute)
				s := p.cache.Stats()
				if s.Pods != 18 || s.Errors[f.reason] < 3 || s.Errors[f.reason] > 20 {
					t.Errorf("%+v", s)
				}
				if n := p.logs.Len(); n != 1 {
					t.Fatalf("%d lines: %v", n, p.logs.All())
				}
				if remedy := fmt.Sprint(p.logs.All()[0].ContextMap()["remedy"]); !strings.Contains(remedy, f.remedy) {
					t.Errorf("remedy %q", remedy)
				}
				p.set(realPods(t))
				settle(2 * time.Minute)
				if time.Since(p.cache.Stats().HeardAt) > 10*time.Second || p.logs.Len() != 2 {
					t.Errorf("does not go on: %v", p.logs.All())
				}
			})
		})
	}
}

func TestKubeletThatIsAbsentAtStart(t *testing.T) {
	polling(t, realPods(t), false, func(t *testing.T, p *polled) {
		settle(time.Hour)
		if p.cache.Synced() {
			t.Error("synced with nothing")
		}
		p.net.setDown(false)
		settle(2 * time.Minute)
		if !p.cache.Synced() || p.cache.Stats().Pods != 18 {
			t.Errorf("%+v", p.cache.Stats())
		}
	})
}

func TestKubeletListBeyondTheBound(t *testing.T) {
	endless := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"items":[`))
		item := []byte(`{"metadata":{"name":"` + strings.Repeat("x", 1<<20) + `"}},`)
		for {
			if _, err := w.Write(item); err != nil {
				return
			}
		}
	}
	polling(t, endless, true, func(t *testing.T, p *polled) {
		settle(time.Second)
		if p.cache.Synced() || p.cache.Stats().Errors[kubeapi.TooLarge] != 1 {
			t.Errorf("%+v", p.cache.Stats())
		}
	})
}

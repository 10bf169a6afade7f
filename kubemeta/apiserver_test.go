package kubemeta

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// api answers list and watch as an API server does, except where a test
// replaces an answer.
type api struct {
	t *testing.T

	mu      sync.Mutex
	lists   []string // resourceVersion of each list asked for
	watches []string // likewise
	list    http.HandlerFunc
	watch   http.HandlerFunc
}

const podsPath = "/api/v1/pods"

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if r.URL.Path != podsPath || query.Get("fieldSelector") != "spec.nodeName=lab-1" {
		a.t.Errorf("asked for %s: more than this node's pods", r.URL)
	}
	a.mu.Lock()
	handler := a.list
	if query.Get("watch") != "" {
		handler = a.watch
		a.watches = append(a.watches, query.Get("resourceVersion"))
	} else {
		a.lists = append(a.lists, query.Get("resourceVersion"))
	}
	a.mu.Unlock()
	handler(w, r)
}

func (a *api) set(list, watch http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list, a.watch = list, watch
}

func (a *api) asked() (lists, watches []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.lists...), append([]string(nil), a.watches...)
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hang answers nothing until the client goes away.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// events sends lines of a watch and keeps it open.
func events(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, line := range lines {
			_, _ = io.WriteString(w, line+"\n")
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// cut sends lines and then breaks the connection off.
func cut(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range lines {
			_, _ = io.WriteString(w, line+"\n")
		}
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func listOf(version string, pods ...string) string {
	return fmt.Sprintf(`{"kind":"PodList","metadata":{"resourceVersion":%q},"items":[%s]}`, version, strings.Join(pods, ","))
}

func podJSON(uid, version string) string {
	return fmt.Sprintf(`{"kind":"Pod","metadata":{"uid":%q,"name":%q,"namespace":"n","resourceVersion":%q}}`, uid, uid, version)
}

func event(kind, object string) string { return fmt.Sprintf(`{"type":%q,"object":%s}`, kind, object) }

// watched is an API server source that runs against a fake server.
type watched struct {
	*api
	net   *pipeNet
	cache *Cache
	logs  *observer.ObservedLogs
	stop  func()
}

// watching runs the body in a bubble, where waiting costs no time. Without a
// list there is no server at first.
func watching(t *testing.T, list, watch http.HandlerFunc, body func(t *testing.T, w *watched)) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{api: &api{t: t, list: list, watch: watch}, net: newPipeNet(), cache: NewCache()}
		w.net.setDown(list == nil)
		w.net.serve(t, w.api)
		core, logs := observer.New(zap.InfoLevel)
		w.logs = logs
		source, err := NewAPIServer(w.cache, APIServerSettings{
			Config: &rest.Config{Host: "http://api.test", Dial: w.net.dial},
			Node:   "lab-1",
			Logger: zap.New(core),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		w.stop = func() { cancel(); wg.Wait() }
		defer w.stop()
		wg.Go(func() { source.Run(ctx) })
		body(t, w)
	})
}

// settle lets everything happen that happens within a time.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *watched) errors(reason Reason) uint64 { return w.cache.Stats().Errors[reason] }

// knows fails the test unless exactly these living pods are in the cache.
func (w *watched) knows(t *testing.T, uids ...string) {
	t.Helper()
	if got := w.cache.Stats().Pods; got != len(uids) {
		t.Errorf("%d pods, want %v", got, uids)
	}
	for _, uid := range uids {
		if !hasUID(w.cache, uid) {
			t.Errorf("pod %s is missing", uid)
		}
	}
}

func TestWatchFollowsRealPods(t *testing.T) {
	text, err := os.ReadFile("testdata/apiserver-pods.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, item := range list.Items {
		lines = append(lines, event("ADDED", string(item)))
	}
	last := string(list.Items[len(list.Items)-1])
	watching(t, answer(200, listOf("1")), events(append(lines, event("DELETED", last))...), func(t *testing.T, w *watched) {
		settle(time.Minute)
		want := fixture(t, "apiserver-pods.json")
		s := w.cache.Stats()
		if s.Pods != len(want)-1 || s.Tombstones != 1 {
			t.Errorf("%+v", s)
		}
		for _, p := range want {
			if got, ok := w.cache.ByUID(p.UID); !ok || !got.equal(p) {
				t.Errorf("%s: %+v", p.Name, got)
			}
		}
	})
}

func TestWatchGoesOnWhereItEnded(t *testing.T) {
	first := func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, event("ADDED", podJSON("b", "11"))+"\n"+
			event("SOMETHING_NEW", podJSON("x", "12"))+"\n"+
			event("BOOKMARK", `{"kind":"Pod","metadata":{"resourceVersion":"15"}}`)+"\n")
		_ = http.NewResponseController(rw).Flush()
		timer := time.NewTimer(5 * time.Minute)
		defer timer.Stop()
		select {
		case <-timer.C: // the server ends watches after some minutes
		case <-r.Context().Done():
		}
	}
	watching(t, answer(200, listOf("10", podJSON("a", "9"))), first, func(t *testing.T, w *watched) {
		settle(2 * time.Minute)
		w.knows(t, "a", "b")
		w.set(answer(500, "no list is needed"), events(event("DELETED", podJSON("a", "16"))))
		settle(5 * time.Minute)
		w.knows(t, "b")
		lists, watches := w.asked()
		if fmt.Sprint(lists, watches) != "[0] [10 15]" {
			t.Errorf("lists %v, watches %v", lists, watches)
		}
		if w.logs.Len() != 0 {
			t.Errorf("an ordinary end is logged: %v", w.logs.All())
		}
	})
}

func TestServerThatIsAbsentAtStart(t *testing.T) {
	watching(t, nil, nil, func(t *testing.T, w *watched) {
		settle(time.Hour)
		if w.cache.Synced() || w.errors(kubeapi.Unreachable) < 100 {
			t.Errorf("synced %v, %d errors", w.cache.Synced(), w.errors(kubeapi.Unreachable))
		}
		if n := w.logs.FilterLevelExact(zap.WarnLevel).Len(); n < 2 || n > 13 {
			t.Errorf("%d warnings in an hour", n)
		}
		w.set(answer(200, listOf("10", podJSON("a", "9"))), events())
		w.net.setDown(false)
		settle(time.Minute)
		w.knows(t, "a")
		if !w.cache.Synced() || w.logs.FilterMessageSnippet("can be read again").Len() != 1 {
			t.Errorf("synced %v, %v", w.cache.Synced(), w.logs.All())
		}
	})
}

func TestRefusals(t *testing.T) {
	for status, want := range map[int]struct {
		reason Reason
		remedy string
	}{
		401: {kubeapi.Unauthorized, "token"},
		403: {kubeapi.Forbidden, "grant the agent's service account get, list and watch on pods"},
		429: {kubeapi.Refused, ""},
		500: {kubeapi.Refused, ""},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			watching(t, answer(status, `{"kind":"Status","message":"no"}`), hang, func(t *testing.T, w *watched) {
				settle(time.Hour)
				if w.errors(want.reason) < 100 {
					t.Errorf("%v", w.cache.Stats().Errors)
				}
				entry := w.logs.All()[0]
				if remedy := entry.ContextMap()["remedy"].(string); !strings.Contains(remedy, want.remedy) {
					t.Errorf("remedy %q", remedy)
				}
				w.set(answer(200, listOf("1", podJSON("a", "1"))), hang)
				settle(time.Minute)
				w.knows(t, "a")
			})
		})
	}
}

func TestWatchThatIsForbidden(t *testing.T) {
	watching(t, answer(200, listOf("1", podJSON("a", "1"))), answer(403, "no"), func(t *testing.T, w *watched) {
		settle(time.Hour)
		w.knows(t, "a") // it lives on lists
		if w.errors(kubeapi.Forbidden) < 100 {
			t.Errorf("%v", w.cache.Stats().Errors)
		}
		// Each list succeeds, but that must not fill the log.
		if n := w.logs.Len(); n > 30 {
			t.Errorf("%d lines in an hour", n)
		}
	})
}

func TestServerThatHangs(t *testing.T) {
	watching(t, hang, hang, func(t *testing.T, w *watched) {
		settle(time.Hour)
		if w.errors(kubeapi.Timeout) < 40 {
			t.Errorf("list: %v", w.cache.Stats().Errors)
		}
		w.set(answer(200, listOf("1", podJSON("a", "1"))), hang)
		settle(time.Hour)
		if w.errors(kubeapi.Timeout) < 80 {
			t.Errorf("watch: %v", w.cache.Stats().Errors)
		}
		// One that begins and then says nothing, not even its end.
		lists, _ := w.asked()
		w.set(answer(200, listOf("2", podJSON("b", "2"))), events(event("ADDED", podJSON("c", "3"))))
		settle(time.Hour)
		w.knows(t, "b", "c")
		if again, _ := w.asked(); len(again) < len(lists)+4 {
			t.Errorf("silent watch: %d lists in an hour", len(again)-len(lists))
		}
	})
}

func TestWatchThatIsCut(t *testing.T) {
	watching(t, answer(200, listOf("10", podJSON("a", "9"))), cut(event("ADDED", podJSON("b", "11"))), func(t *testing.T, w *watched) {
		synctest.Wait()
		w.set(answer(200, listOf("20", podJSON("b", "11"), podJSON("c", "12"))), hang)
		settle(10 * time.Second)
		w.knows(t, "b", "c")
		if !hasUID(w.cache, "a") {
			t.Error("the pod that was deleted in between has no tombstone")
		}
		if lists, _ := w.asked(); lists[1] != "11" {
			t.Errorf("lists %v: may go back behind what the watch told", lists)
		}
		if w.errors(kubeapi.Unreachable) == 0 {
			t.Errorf("%v", w.cache.Stats().Errors)
		}
	})
}

func TestWatchThatEndsAtOnceIsNotAskedInATightLoop(t *testing.T) {
	watching(t, answer(200, listOf("10")), answer(200, ""), func(t *testing.T, w *watched) {
		settle(time.Hour)
		if _, watches := w.asked(); len(watches) > 300 {
			t.Errorf("%d watches in an hour", len(watches))
		}
	})
}

func TestGoneLeadsToAListFromTheCache(t *testing.T) {
	const gone = `{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}`
	for name, watch := range map[string]http.HandlerFunc{
		"as an event":  events(event("ADDED", podJSON("b", "11")), event("ERROR", gone)),
		"as an answer": answer(410, gone),
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, answer(200, listOf("10", podJSON("a", "9"))), watch, func(t *testing.T, w *watched) {
				synctest.Wait()
				w.set(answer(200, listOf("500", podJSON("c", "400"))), hang)
				settle(10 * time.Second)
				w.knows(t, "c")
				lists, watches := w.asked()
				if lists[1] == "" || lists[1] == "0" || watches[1] != "500" || w.errors(kubeapi.Expired) != 1 {
					t.Errorf("lists %q, watches %q, %v", lists, watches, w.cache.Stats().Errors)
				}
				if w.logs.Len() != 0 {
					t.Errorf("an ordinary 410 is logged: %v", w.logs.All())
				}
			})
		})
	}
}

// A cache that does not come to our version (etcd was set back) is not asked again.
func TestListThatTheCacheCannotAnswer(t *testing.T) {
	watching(t, answer(200, listOf("10", podJSON("a", "9"))), answer(410, ""), func(t *testing.T, w *watched) {
		synctest.Wait()
		w.set(answer(504, "Too large resource version"), hang)
		settle(2 * time.Second)
		w.set(answer(200, listOf("5", podJSON("c", "4"))), hang)
		settle(time.Minute)
		w.knows(t, "c")
		if lists, _ := w.asked(); lists[1] != "10" || lists[2] != "" {
			t.Errorf("lists %q", lists)
		}
	})
}

func TestGarbage(t *testing.T) {
	good := answer(200, listOf("1", podJSON("a", "1")))
	huge := `{"type":"ADDED","object":{"metadata":{"uid":"` + strings.Repeat("x", kubeapi.MaxObjectBytes) + `"}}}`
	for name, f := range map[string]struct {
		list, watch http.HandlerFunc
		reason      Reason
	}{
		"page for a list":         {answer(200, "<html>login</html>"), hang, kubeapi.Malformed},
		"nothing for a list":      {answer(200, ""), hang, kubeapi.Malformed},
		"half a list":             {cut(`{"items":[{"metadata":{"uid":"a"`), hang, kubeapi.Unreachable},
		"page for a watch":        {good, answer(200, "<html>login</html>"), kubeapi.Malformed},
		"half an event":           {good, answer(200, `{"type":"ADDED","object":{`), kubeapi.Malformed},
		"event without an object": {good, answer(200, `{"type":"ADDED"}`), kubeapi.Malformed},
		"event of no pod":         {good, answer(200, `{"type":"ADDED","object":"pod"}`), kubeapi.Malformed},
		"error of no status":      {good, events(`{"type":"ERROR","object":7}`), kubeapi.Malformed},
		"error of another kind":   {good, events(`{"type":"ERROR","object":{"code":500}}`), kubeapi.Refused},
		"event beyond the bound":  {good, events(huge), kubeapi.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, f.list, f.watch, func(t *testing.T, w *watched) {
				settle(time.Minute)
				if w.errors(f.reason) == 0 || len(w.logs.All()) == 0 {
					t.Errorf("%v, log %v", w.cache.Stats().Errors, w.logs.All())
				}
				w.set(answer(200, listOf("2", podJSON("b", "2"))), hang)
				settle(2 * time.Minute)
				w.knows(t, "b")
			})
		})
	}
}

func TestMalformedPodDoesNotHideTheOthers(t *testing.T) {
	watching(t, answer(200, listOf("1", `{"metadata":{"uid":"odd"},"spec":{"nodeName":7}}`, podJSON("a", "1"))),
		events(event("ADDED", podJSON("b", "2"))), func(t *testing.T, w *watched) {
			settle(10 * time.Second)
			w.knows(t, "odd", "a", "b")
			if w.errors(kubeapi.Malformed) != 1 {
				t.Errorf("%v", w.cache.Stats().Errors)
			}
		})
}

func TestStopWhileTheServerHangs(t *testing.T) {
	watching(t, hang, hang, func(t *testing.T, w *watched) {
		settle(time.Second)
		began := time.Now()
		w.stop()
		if waited := time.Since(began); waited != 0 {
			t.Errorf("stopped after %v", waited)
		}
		if w.logs.Len() != 0 {
			t.Errorf("stopping is logged: %v", w.logs.All())
		}
	})
}

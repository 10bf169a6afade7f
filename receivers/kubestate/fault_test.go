package kubestate

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// fake is an API server for what a real one does not do on demand: each request
// is answered by the next of its answers, the last one for good.
type fake struct {
	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests []url.Values
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	answer := f.answers[min(len(f.requests), len(f.answers)-1)]
	f.requests = append(f.requests, r.URL.Query())
	f.mu.Unlock()
	answer(w, r)
}

// request waits for the nth request and returns its query.
func (f *fake) request(t *testing.T, n int) (q url.Values) {
	t.Helper()
	poll(t, fmt.Sprintf("request %d", n), func() (bool, string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.requests) > n {
			q = f.requests[n]
		}
		return len(f.requests) > n, fmt.Sprint(f.requests)
	})
	return q
}

type message interface{ Marshal() ([]byte, error) }

// encoded is an object as the API server sends it.
func encoded(m message) []byte {
	raw, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	unknown := runtime.Unknown{Raw: raw}
	data, err := unknown.Marshal()
	if err != nil {
		panic(err)
	}
	return append([]byte("k8s\x00"), data...)
}

func list(version, next string, names ...string) http.HandlerFunc {
	l := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: version, Continue: next}}
	for _, name := range names {
		l.Items = append(l.Items, *named(name))
	}
	return write(encoded(l))
}

func named(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: "u-" + "1", ResourceVersion: "7",
		CreationTimestamp: metav1.Unix(1, 0)}}
}

func write(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
}

// stays writes and keeps the answer open until the client goes.
func stays(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(body)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

// line is an event of a watch.
func line(kind string, m message) []byte {
	e := metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Raw: encoded(m)}}
	data, err := e.Marshal()
	if err != nil {
		panic(err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

func status(code int32) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", int(code)) }
}

// faulty is a watcher of pods at a fake.
type faulty struct {
	*fake
	*watcher
	tel *componenttest.Telemetry
}

func newFaulty(t *testing.T, paged bool, answers ...http.HandlerFunc) *faulty {
	t.Helper()
	f := &faulty{fake: &fake{answers: answers}, tel: componenttest.NewTelemetry()}
	server := httptest.NewServer(f.fake)
	telemetry, err := newTelemetry(f.tel.NewTelemetrySettings().MeterProvider)
	if err != nil {
		t.Fatal(err)
	}
	k := pods()
	var listed sync.WaitGroup
	listed.Add(1)
	f.watcher = &watcher{kind: k, reader: kubeapi.Reader{Client: server.Client(), URL: server.URL + "/api/v1/pods", Resource: k.resource, Encoding: k.encoding, Paged: paged},
		store: newStore(k, &budget{max: 1 << 20}), report: newReport(telemetry, k, zap.NewNop(), &selfCounts{}), waiting: &listed}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.watcher.run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		listed.Wait()
		server.Close()
		if err := f.tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// has waits until the store has exactly these pods.
func (f *faulty) has(t *testing.T, names ...string) {
	t.Helper()
	poll(t, fmt.Sprint("pods ", names), func() (bool, string) {
		f.store.mu.Lock()
		defer f.store.mu.Unlock()
		same := len(f.store.byKey) == len(names)
		for _, name := range names {
			_, ok := f.store.byKey["default/"+name]
			same = same && ok
		}
		return same, fmt.Sprint(f.store.byKey)
	})
}

// failed waits for an error of the reason.
func (f *faulty) failed(t *testing.T, reason kubeapi.Reason) {
	t.Helper()
	poll(t, string(reason), func() (bool, string) {
		m, err := f.tel.GetMetric("crowsnest_kubestate_errors")
		if err != nil {
			return false, err.Error()
		}
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			if got, _ := p.Attributes.Value("reason"); got.AsString() == string(reason) && p.Value > 0 {
				return true, ""
			}
		}
		return false, fmt.Sprint(m.Data)
	})
}

func TestListInPages(t *testing.T) {
	f := newFaulty(t, true, list("5", "more", "a", "b"), list("5", "", "c"), stays(nil))
	f.has(t, "a", "b", "c")
	if q := f.request(t, 0); q.Get("limit") != "500" || q.Has("continue") || q.Has("resourceVersion") {
		t.Errorf("first page: %v", q)
	}
	if q := f.request(t, 1); q.Get("continue") != "more" {
		t.Errorf("second page: %v", q)
	}
	if q := f.request(t, 2); q.Get("watch") != "1" || q.Get("resourceVersion") != "5" || q.Get("allowWatchBookmarks") != "true" {
		t.Errorf("watch: %v", q)
	}
}

func TestPageThatFailsKeepsWhatThereWas(t *testing.T) {
	f := newFaulty(t, true, list("5", "", "a"), status(500), list("6", "more", "b"), status(410), list("7", "", "b"), stays(nil))
	f.failed(t, kubeapi.Expired)
	f.failed(t, kubeapi.Refused)
	f.has(t, "b")
}

// Of a list by node etcd reads all pods of the cluster, for each node that asks.
func TestExpiredWatchListsFromTheCacheFirst(t *testing.T) {
	gone := line("ERROR", &metav1.Status{Code: 410, Message: "too old"})
	f := newFaulty(t, false, list("5", "", "a"), write(gone), status(504), list("2", "", "b"), stays(nil))
	f.has(t, "b")
	f.failed(t, kubeapi.Expired)
	for n, want := range map[int]string{0: "0", 2: "5"} {
		if q := f.request(t, n); q.Get("resourceVersion") != want {
			t.Errorf("list %v is not one from the cache", q)
		}
	}
	if q := f.request(t, 3); q.Has("resourceVersion") {
		t.Errorf("the cache does not come to version 5, since etcd was set back, and is asked again: %v", q)
	}
}

func TestEvents(t *testing.T) {
	var body []byte
	body = append(body, line("ADDED", named("b"))...)
	body = append(body, line("MODIFIED", named("a"))...)
	body = append(body, line("DELETED", named("a"))...)
	body = append(body, line("LATER", named("c"))...) // a kind of event that is yet to be invented
	bookmark := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "77"}}
	body = append(body, line("BOOKMARK", bookmark)...)
	f := newFaulty(t, false, list("5", "", "a"), write(body), list("88", "", "b"), stays(nil))
	f.has(t, "b")
	// The watch ended at once, which counts as a failure; the list that follows
	// must not go back behind the bookmark.
	if q := f.request(t, 2); q.Get("resourceVersion") != "77" {
		t.Errorf("after the bookmark: %v", q)
	}
}

func TestAnswersThatCannotBeUnderstood(t *testing.T) {
	huge := append([]byte("k8s\x00"), 0x12, 0x80, 0x80, 0x80, 0x40, 0x12, 0x80, 0x80, 0x80, 0x10)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		reason kubeapi.Reason
	}{
		"no protobuf":      {write([]byte("<html>a proxy's page")), kubeapi.Malformed},
		"cut off":          {write(encoded(&corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "5"}, Items: []corev1.Pod{*named("x")}})[:20]), kubeapi.Unreachable},
		"huge object":      {write(huge), kubeapi.TooLarge},
		"without version":  {list("", ""), kubeapi.Malformed},
		"unauthorized":     {status(401), kubeapi.Unauthorized},
		"internal error":   {status(500), kubeapi.Refused},
		"no answer at all": {func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, kubeapi.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t, false, c.answer, list("5", "", "a"), stays(nil))
			f.failed(t, c.reason)
			f.has(t, "a")
		})
	}
}

// What may not be read is asked for seldom, and without an alert where that may
// be meant so.
func TestForbidden(t *testing.T) {
	forbidden := &kubeapi.StatusError{Code: http.StatusForbidden}
	for _, c := range []struct {
		kind *kind
		want int64
	}{{pods(), 2}, {secrets(), 0}} {
		tel := componenttest.NewTelemetry()
		telemetry, err := newTelemetry(tel.NewTelemetrySettings().MeterProvider)
		if err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.InfoLevel)
		w := &watcher{kind: c.kind, store: newStore(c.kind, &budget{max: 1 << 20}), report: newReport(telemetry, c.kind, zap.New(core), &selfCounts{})}
		for range 2 {
			if wait := w.Failed(forbidden, time.Second); wait < forbiddenPause/2 {
				t.Errorf("%s are asked for again after %v", c.kind.resource, wait)
			}
		}
		counted := int64(0)
		if m, err := tel.GetMetric("crowsnest_kubestate_errors"); err == nil {
			counted = int64(sum(m))
		}
		if counted != c.want || logs.Len() != 1 {
			t.Errorf("%s: %d errors, want %d; log %v", c.kind.resource, counted, c.want, logs.All())
		}
		if err := tel.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestEventsThatCannotBeUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		body   []byte
		reason kubeapi.Reason
	}{
		"huge":     {[]byte{0xff, 0, 0, 0}, kubeapi.TooLarge},
		"cut off":  {line("ADDED", named("x"))[:10], kubeapi.Unreachable},
		"no magic": {append([]byte{0, 0, 0, 4}, 0x12, 2, 0x0a, 0), kubeapi.Malformed},
		"garbage":  {append([]byte{0, 0, 0, 3}, 0xff, 0xff, 0xff), kubeapi.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t, false, list("5", "", "a"), write(c.body), list("6", "", "a", "b"), stays(nil))
			f.failed(t, c.reason)
			f.has(t, "a", "b")
		})
	}
}

// TestObjectThatCannotBeDecodedKeepsItsSeries has one bad pod among good ones.
func TestObjectThatCannotBeDecodedKeepsItsSeries(t *testing.T) {
	f := newFaulty(t, false, list("5", "", "a"), stays(append(badEvent("MODIFIED"), line("ADDED", named("b"))...)))
	f.failed(t, kubeapi.Malformed)
	f.has(t, "a", "b")
}

func badEvent(kind string) []byte {
	unknown := runtime.Unknown{Raw: []byte{0x0a, 0x7f, 1}} // metadata of 127 bytes, of which one is there
	data, err := unknown.Marshal()
	if err != nil {
		panic(err)
	}
	e := metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Raw: append([]byte("k8s\x00"), data...)}}
	if data, err = e.Marshal(); err != nil {
		panic(err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

func nopTelemetry(t *testing.T) *telemetry {
	t.Helper()
	telemetry, err := newTelemetry(componenttest.NewNopTelemetrySettings().MeterProvider)
	if err != nil {
		t.Fatal(err)
	}
	return telemetry
}

func TestOptionalKindComesAndGoes(t *testing.T) {
	k := newKind(spec[row]{resource: "things", path: "apis/example.com/v1/things", encoding: kubeapi.AsJSON, optional: true,
		identity: []string{"thing"}, identify: func(o *row) []string { return []string{o.GetName()} },
		families: []family[row]{{name: "thing_info", write: func(w *writer, _ *row) { w.put(1) }}}})
	w := &watcher{kind: k, store: newStore(k, &budget{max: 1 << 20})}
	w.report = newReport(nopTelemetry(t), k, zap.NewNop(), &selfCounts{})
	w.Begin()
	if version := w.Put([]byte(`{"metadata":{"name":"a","resourceVersion":"2"}}`)); version != "2" {
		t.Errorf("version %q", version)
	}
	if err := w.End("3"); err != nil {
		t.Fatal(err)
	}
	if n := w.store.objects(); n != 1 {
		t.Errorf("%d objects", n)
	}
	w.absent()
	if n := w.store.objects(); n != 0 {
		t.Errorf("%d objects of a kind that is gone", n)
	}
}

// A cluster without a kind that not every cluster has is not one whose lists fail.
func TestOnlyFailuresCountAsErrorsOfLists(t *testing.T) {
	for _, c := range []struct {
		kind *kind
		code int
		want uint64
	}{
		{verticalPodAutoscalers(), http.StatusNotFound, 0},
		{verticalPodAutoscalers(), http.StatusForbidden, 1},
		{secrets(), http.StatusForbidden, 0}, // denied on purpose
		{secrets(), http.StatusInternalServerError, 1},
	} {
		k, code, want := c.kind, c.code, c.want
		server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { answer.WriteHeader(code) }))
		defer server.Close()
		var self selfCounts
		w := &watcher{kind: k, store: newStore(k, &budget{max: 1 << 20}), report: &report{self: &self}, waiting: new(sync.WaitGroup)}
		w.waiting.Add(1)
		_, err := kubeapi.Get(t.Context(), server.Client(), server.URL, "")
		if !kubeapi.HasStatus(err, code) {
			t.Errorf("HTTP %d: error %v", code, err)
		}
		w.Listed(err)
		if got := self.list.failure.Load(); got != want {
			t.Errorf("%s: HTTP %d: %d errors of lists, want %d", k.resource, code, got, want)
		}
	}
}

// row is an object in JSON.
type row struct {
	metav1.ObjectMeta `json:"metadata"`
}

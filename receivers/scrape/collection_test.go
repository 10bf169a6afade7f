package scrape

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
	"github.com/crowsnest-o11y/crowsnest/kubemeta"
	"github.com/crowsnest-o11y/crowsnest/test/counters"
)

// script is an API server for what a real one does not do on demand: each
// request gets the next answer, the last one for good.
type script struct {
	mu      sync.Mutex
	answers []http.HandlerFunc
	asked   []url.Values
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer := s.answers[min(len(s.asked), len(s.answers)-1)]
	s.asked = append(s.asked, r.URL.Query())
	s.mu.Unlock()
	answer(w, r)
}

// request waits for the nth.
func (s *script) request(t *testing.T, n int) (q url.Values) {
	t.Helper()
	eventually(t, fmt.Sprintf("request %d", n), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.asked) > n {
			q = s.asked[n]
		}
		return len(s.asked) > n
	})
	return q
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// stays is a watch that goes on.
func stays(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(text))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

func breaksOff(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

func answers(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func monitorList(version string, items ...string) http.HandlerFunc {
	return says(fmt.Sprintf(`{"kind":"List","metadata":{"resourceVersion":%q},"items":[%s]}`, version, strings.Join(items, ",")))
}

func monitorText(name, version, spec string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"shop","resourceVersion":%q},"spec":{%s}}`, name, version, spec)
}

func clusterAt(t *testing.T, handler http.Handler) (*cluster, *observer.ObservedLogs) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	return &cluster{client: server.Client(), base: base, logger: zap.New(core)}, logs
}

// follow runs a collection of monitors at a script.
func follow(t *testing.T, s *script) (*collection[monitor, *monitor], *observer.ObservedLogs) {
	t.Helper()
	at, logs := clusterAt(t, s)
	c := newCollection[monitor](at, "monitors", "a remedy", func() {})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return c, logs
}

func (c *collection[T, P]) names() (names []string) {
	for _, o := range c.all() {
		names = append(names, o.meta().Name)
	}
	return sorted(names)
}

func TestBrokenWatchGoesOnWithoutAList(t *testing.T) {
	s := &script{answers: []http.HandlerFunc{
		monitorList("5", monitorText("a", "3", "")),
		breaksOff,
		answers(http.StatusTooManyRequests),
		stays(`{"type":"ADDED","object":` + monitorText("b", "6", "") + `}`),
	}}
	c, _ := follow(t, s)
	if q := s.request(t, 0); q.Get("resourceVersion") != "0" || q.Has("limit") {
		t.Errorf("the first list is not one from the cache: %v", q)
	}
	for n := 1; n <= 3; n++ {
		if q := s.request(t, n); q.Get("watch") != "1" || q.Get("resourceVersion") != "5" {
			t.Errorf("request %d is no watch from the list on: %v", n, q)
		}
	}
	eventually(t, "a and b", func() bool { return slices.Equal(c.names(), []string{"a", "b"}) })
}

func TestExpiredWatch(t *testing.T) {
	s := &script{answers: []http.HandlerFunc{
		monitorList("5"),
		says(`{"type":"ERROR","object":{"code":410,"message":"too old"}}`),
		answers(http.StatusGatewayTimeout), // the cache does not come to version 5: etcd was set back
		monitorList("2", monitorText("a", "1", "")),
		stays(""),
	}}
	c, _ := follow(t, s)
	if q := s.request(t, 2); q.Get("resourceVersion") != "5" || q.Has("watch") {
		t.Errorf("not a list from the cache: %v", q)
	}
	if q := s.request(t, 3); q.Has("resourceVersion") || q.Get("limit") != "500" {
		t.Errorf("not a list from etcd in pages: %v", q)
	}
	if q := s.request(t, 4); q.Get("resourceVersion") != "2" {
		t.Errorf("watch from %v", q)
	}
	if got := c.names(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%v", got)
	}
}

// An API server in trouble must not be asked in a tight loop, by anyone.
func TestNoErrorIsRetriedAtOnce(t *testing.T) {
	at, _ := clusterAt(t, &script{answers: []http.HandlerFunc{answers(500)}})
	c := newCollection[monitor](at, "monitors", "", func() {})
	for code, want := range map[int]time.Duration{
		http.StatusGone: time.Second, http.StatusGatewayTimeout: time.Second, http.StatusInternalServerError: time.Second,
		http.StatusForbidden: absentInterval, http.StatusNotFound: absentInterval,
	} {
		if got := c.failed(&kubeapi.StatusError{Code: code}, time.Second); got != want {
			t.Errorf("HTTP %d: waits %v, want %v", code, got, want)
		}
	}
}

func TestObjectThatIsNotUnderstoodIsLeftOutAlone(t *testing.T) {
	bad := monitorText("bad", "4", `"sampleLimit":-1`)
	s := &script{answers: []http.HandlerFunc{
		monitorList("5", monitorText("a", "3", ""), bad, monitorText("b", "3", "")),
		stays(`{"type":"MODIFIED","object":` + monitorText("b", "6", `"targetLimit":1.5`) + `}
			{"type":"ADDED","object":` + monitorText("c", "7", "") + `}`),
	}}
	c, logs := follow(t, s)
	eventually(t, "a and c", func() bool { return slices.Equal(c.names(), []string{"a", "c"}) })
	if said := fmt.Sprint(logs.All()); !strings.Contains(said, "shop/bad") || !strings.Contains(said, "sampleLimit") {
		t.Errorf("the log does not tell which and why: %s", said)
	}
}

func TestObjectsAreBounded(t *testing.T) {
	at, logs := clusterAt(t, &script{answers: []http.HandlerFunc{answers(500)}})
	c := newCollection[service](at, "services", "", func() {})
	event := func(kind, name string, size int) {
		t.Helper()
		text, err := json.Marshal(map[string]any{"metadata": map[string]any{"name": name, "namespace": "n", "resourceVersion": "1",
			"annotations": map[string]string{"a": strings.Repeat("x", size), lastApplied: strings.Repeat("y", size)}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.apply(kind, text); err != nil {
			t.Fatal(err)
		}
	}
	const size = 4 << 20
	for i := range 10 {
		event("ADDED", fmt.Sprint("s", i), size)
	}
	if n := len(c.all()); n != maxHeldBytes/size-1 || c.bytes > maxHeldBytes {
		t.Errorf("%d objects of %d bytes", n, c.bytes)
	}
	if logs.FilterMessageSnippet("some are left out").Len() != 1 {
		t.Errorf("%v", logs.All())
	}
	event("MODIFIED", "s0", 10)
	event("MODIFIED", "s9", size) // now there is room
	event("DELETED", "s1", 10)
	if got := fmt.Sprint(c.names()); got != "[s0 s2 s3 s4 s5 s6 s9]" {
		t.Error(got)
	}
	sum := 0
	for _, s := range c.all() {
		sum += s.bytes()
	}
	if sum != c.bytes {
		t.Errorf("%d bytes are %d", sum, c.bytes)
	}
}

func TestListsThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		`<html>`: "invalid character", `[]`: "where '{' should be", `{"items":{}}`: "where a list should be", `{"items":[]}`: "without a version",
		`{"items":[{"a":"` + strings.Repeat("x", 2*kubeapi.MaxObjectBytes): kubeapi.ErrTooLarge.Error(),
		`{"items":[{}`: "unexpected EOF", "": "unexpected EOF",
	} {
		if _, err := decodeList(strings.NewReader(text), func(json.RawMessage) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %s", text, err, want)
		}
	}
}

func TestCredentialsAreReadForPodsOfTheNodeOnly(t *testing.T) {
	asked := &script{answers: []http.HandlerFunc{says(`{"data":{"user":"YQ==","pass":"Yg=="}}`)}}
	r := stoppedRig(t)
	r.cluster, _ = clusterAt(t, asked)
	r.scrapeReceiver.cache = r.cache
	r.monitors = newMonitors(r.scrapeReceiver)
	m := parse[monitor](t, `
metadata: {name: mon, namespace: shop, uid: u, resourceVersion: "7"}
spec:
  selector: {matchLabels: {app: web}}
  podMetricsEndpoints: [{port: metrics, basicAuth: {username: {name: s, key: user}, password: {name: s, key: pass}}}]
`)
	r.monitors.podMonitors.put("shop/mon", m, true, 1)
	r.monitors.compile(t.Context())
	if len(asked.asked) != 0 {
		t.Error("a secret is read though no pod needs it")
	}
	if n := counters.Sum(t, r.telemetry, "crowsnest_scrape_refused_targets"); n != 0 {
		t.Errorf("%d targets are refused that nobody has", n)
	}
	r.cache.Replace([]*kubemeta.Pod{{UID: "1", Namespace: "shop", Name: "web-1", Labels: map[string]string{"app": "web"}}})
	r.monitors.moved()
	select {
	case <-r.monitors.wake:
	default:
		t.Error("a new pod does not wake who waits for it")
	}
	for range 3 {
		r.monitors.compile(t.Context())
	}
	if len(asked.asked) != 1 {
		t.Errorf("a secret is read %d times", len(asked.asked))
	}
	if c := r.monitors.compiled; len(c) != 1 || len(c[0].endpoints) != 1 || c[0].endpoints[0].job.http.BasicAuth.Username != "a" {
		t.Errorf("%+v", c)
	}
}

func TestCredentialsOutliveTheAPIServer(t *testing.T) {
	s := &script{answers: []http.HandlerFunc{says(`{"data":{"k":"YQ=="}}`), answers(503), answers(404)}}
	at, _ := clusterAt(t, s)
	v := newVault(at)
	read := func() (string, error) {
		for _, o := range v.known {
			o.read = time.Now().Add(-secretInterval)
		}
		return v.get(t.Context(), &metadata{Namespace: "shop"}, "secrets", keySelector{Name: "s", Key: "k"})
	}
	for range 2 {
		if got, err := read(); got != "a" || err != nil {
			t.Errorf("%q %v", got, err)
		}
	}
	if _, err := read(); !kubeapi.HasStatus(err, http.StatusNotFound) {
		t.Errorf("a secret that is gone is read: %v", err)
	}
	v.forget()
	if v.forget(); len(v.known) != 0 {
		t.Error("what nobody asks for is kept")
	}
}

// An interval of an hour that becomes a short one does not last for the hour.
func TestShorterInterval(t *testing.T) {
	s := serve(t, answer("text/plain", "a 1\n"))
	r := stoppedRig(t)
	j := r.job("j", sourcePodMonitor)
	j.interval = 24 * time.Hour
	scraper := r.scraper(t, j, s)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { scraper.run(ctx) })
	defer func() { cancel(); running.Wait() }()
	changed, soon := *scraper.wanted.Load(), *j
	soon.interval = 100 * time.Millisecond
	changed.job = &soon
	scraper.want(&changed)
	eventually(t, "a scrape", func() bool { return len(r.store.live(`__name__="a"`)) == 1 })
}

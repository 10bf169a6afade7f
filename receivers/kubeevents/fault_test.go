package kubeevents

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
)

// fake is an API server for what a real one does not do on demand: each list
// and each watch is answered by the next of its answers, the last one for good.
type fake struct {
	*httptest.Server
	mu             sync.Mutex
	lists, watches []http.HandlerFunc
	lease          http.HandlerFunc
	asked          []url.Values
}

func newFake(t testing.TB, lists, watches []http.HandlerFunc) *fake {
	f := &fake{lists: lists, watches: watches}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/leases") {
		f.lease(w, r)
		return
	}
	f.mu.Lock()
	answers := &f.lists
	if r.URL.Query().Has("watch") {
		answers = &f.watches
	}
	answer := (*answers)[0]
	if len(*answers) > 1 {
		*answers = (*answers)[1:]
	}
	f.asked = append(f.asked, r.URL.Query())
	f.mu.Unlock()
	answer(w, r)
}

func (f *fake) kubeconfig(t testing.TB) string {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],
		"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u","user":{}}]}`, f.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

type message interface{ Marshal() ([]byte, error) }

func marshal(m message) []byte {
	data, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	return data
}

// encoded is an object as the API server sends it.
func encoded(m message) []byte {
	return append([]byte("k8s\x00"), marshal(&kruntime.Unknown{Raw: marshal(m)})...)
}

// line is an event of a watch.
func line(kind string, m message) []byte {
	data := marshal(&metav1.WatchEvent{Type: kind, Object: kruntime.RawExtension{Raw: encoded(m)}})
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

// numbered is an event with a version, of so many seconds ago.
func numbered(version, ago int) *corev1.Event {
	at := metav1.NewTime(time.Now().Add(-time.Duration(ago) * time.Second).Truncate(time.Second))
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprint("e", version), UID: "u", ResourceVersion: strconv.Itoa(version), CreationTimestamp: at},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: fmt.Sprint("p", version)},
		Reason:         "Tested", Type: "Normal", LastTimestamp: at,
	}
}

func list(version int, next string, events ...*corev1.Event) http.HandlerFunc {
	l := &corev1.EventList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(version), Continue: next}}
	for _, e := range events {
		l.Items = append(l.Items, *e)
	}
	return write(encoded(l))
}

func write(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
}

// stays writes and keeps the answer open until the client goes.
func stays(lines ...[]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(slices.Concat(lines...))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
}

func answers(all ...http.HandlerFunc) []http.HandlerFunc { return all }

func TestListIsSentInTheOrderOfTime(t *testing.T) {
	f := newFake(t, answers(list(9, "more", numbered(5, 10), numbered(3, 30)), list(9, "", numbered(4, 20))),
		answers(stays(line("ADDED", numbered(10, 5)), line("MODIFIED", numbered(11, 4)), line("DELETED", numbered(12, 50)), line("ADDED", numbered(13, 3)))))
	r := start(t, f.kubeconfig(t), nil)
	r.has(t, "p3", "p4", "p5", "p10", "p11", "p13")
}

// A watch that expires, one that ends and a list that fails repeat nothing.
func TestWhatWasTakenIsNotRepeated(t *testing.T) {
	gone := line("ERROR", &metav1.Status{Code: 410, Message: "too old"})
	f := newFake(t, answers(list(5, "", numbered(4, 9)), status(500), list(8, "more", numbered(4, 9)), status(410), list(9, "", numbered(4, 9), numbered(6, 8), numbered(7, 7))),
		answers(write(slices.Concat(line("ADDED", numbered(6, 8)), gone)), stays(line("ADDED", numbered(10, 5)))))
	r := start(t, f.kubeconfig(t), nil)
	r.has(t, "p4", "p6", "p7", "p10")
	if n := r.counted(t, "crowsnest_kubeevents_errors"); n != 3 {
		t.Errorf("%d errors", n)
	}
}

// etcd was made anew: versions begin anew.
func TestServerThatWasSetBackIsTakenForNew(t *testing.T) {
	f := newFake(t, answers(list(500, "", numbered(400, 9)), list(20, "", numbered(10, 8), numbered(20, 7))),
		answers(write(line("ERROR", &metav1.Status{Code: 410})), stays(line("ADDED", numbered(21, 5)))))
	r := start(t, f.kubeconfig(t), nil)
	r.has(t, "p400", "p10", "p20", "p21")
}

func TestRefusedEventsAreSentAgainInTheirOrder(t *testing.T) {
	f := newFake(t, answers(list(5, "", numbered(4, 9))), answers(stays(line("ADDED", numbered(6, 8)))))
	var mu sync.Mutex
	left := 2
	r := start(t, f.kubeconfig(t), func(plog.Logs) error {
		mu.Lock()
		defer mu.Unlock()
		if left--; left >= 0 {
			return errors.New("Loki is away")
		}
		return nil
	})
	r.has(t, "p4", "p6")
	if n := r.counted(t, "crowsnest_kubeevents_refusals"); n != 2 {
		t.Errorf("%d refusals", n)
	}
	if r.logs.FilterMessageSnippet("not taken").Len() != 1 || r.logs.FilterMessageSnippet("takes events again").Len() != 1 {
		t.Errorf("%v", r.logs.All())
	}
}

// What a store refuses for good is its exporter's to count.
func TestPermanentErrorsDoNotHoldUpOthers(t *testing.T) {
	f := newFake(t, answers(list(5, "", numbered(4, 9))), answers(stays()))
	asked := make(chan struct{}, 10)
	r := start(t, f.kubeconfig(t), func(plog.Logs) error {
		asked <- struct{}{}
		return consumererror.NewPermanent(errors.New("bad"))
	})
	<-asked
	poll(t, "it goes on", func() (bool, string) { return r.counted(t, "crowsnest_kubeevents_events") == 1, "" })
	if n := r.counted(t, "crowsnest_kubeevents_refusals"); n != 0 {
		t.Errorf("%d refusals", n)
	}
}

func TestEventsThatCannotBeReadAreCounted(t *testing.T) {
	bad := marshal(&metav1.WatchEvent{Type: "ADDED", Object: kruntime.RawExtension{
		Raw: append([]byte("k8s\x00"), marshal(&kruntime.Unknown{Raw: []byte{0x0a, 0x7f, 1}})...)}})
	bad = append(binary.BigEndian.AppendUint32(nil, uint32(len(bad))), bad...)
	f := newFake(t, answers(list(5, "")), answers(stays(bad, line("ADDED", numbered(7, 1)))))
	r := start(t, f.kubeconfig(t), nil)
	r.has(t, "p7")
	if r.counted(t, "crowsnest_received_items") != 1 || r.counted(t, "crowsnest_dropped_items") != 1 {
		t.Error("the bad one is not in the ledger")
	}
}

func TestDenialSaysWhatToGrant(t *testing.T) {
	f := newFake(t, answers(status(403)), answers(stays()))
	r := start(t, f.kubeconfig(t), nil)
	poll(t, "it is told", func() (bool, string) {
		for _, entry := range r.logs.All() {
			if entry.ContextMap()["remedy"] == "grant the service account list and watch on events" {
				return true, ""
			}
		}
		return false, fmt.Sprint(r.logs.All())
	})
}

// Without the Lease, or with one that nobody can read, events are sent: twice is
// better than never.
func TestProgressThatCannotBeKept(t *testing.T) {
	odd := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"events","annotations":{"`+versionAnnotation+`":"soon"}}}`)
	}
	for name, c := range map[string]struct {
		lease     http.HandlerFunc
		complains bool
	}{"denied": {status(403), true}, "not there": {status(404), false}, "odd": {odd, false}} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, answers(list(5, "", numbered(4, 9))), answers(stays()))
			f.lease = c.lease
			r := prepareKeeping(t, &Config{Kubeconfig: f.kubeconfig(t), Lease: "events", Namespace: "n"}, nil)
			r.start(t, componenttest.NewNopHost())
			r.has(t, "p4")
			if complaints := r.logs.FilterMessageSnippet("up to where").Len(); (complaints > 0) != c.complains {
				t.Errorf("%v", r.logs.All())
			}
		})
	}
}

// What the Lease says was sent is not sent again.
func TestProgressIsTakenUp(t *testing.T) {
	f := newFake(t, answers(list(9, "", numbered(4, 9), numbered(6, 8))), answers(stays(line("ADDED", numbered(10, 5)))))
	saved := make(chan string, 10)
	f.lease = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPut {
			saved <- string(body)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"events","annotations":{"`+versionAnnotation+`":"5"}}}`)
	}
	r := prepareKeeping(t, &Config{Kubeconfig: f.kubeconfig(t), Lease: "events", Namespace: "n"}, nil)
	r.start(t, componenttest.NewNopHost())
	r.has(t, "p6", "p10")
	if err := r.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(saved)
	last := ""
	for body := range saved {
		last = body
	}
	if !strings.Contains(last, versionAnnotation+"\x12\x0210") { // in protobuf
		t.Errorf("the last one saved: %q", last)
	}
}

// A hundred thousand events with long messages, and a pipeline that takes none,
// cost the queue's bound; then all of them arrive.
func TestMemoryIsBounded(t *testing.T) {
	const events, perPage = 100_000, 500
	f := newFake(t, nil, answers(stays()))
	now := time.Now()
	long := make([]byte, 2000)
	for i := range long {
		long[i] = 'm'
	}
	for page := range events / perPage {
		f.lists = append(f.lists, func(w http.ResponseWriter, _ *http.Request) {
			l := &corev1.EventList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(events), Continue: "more"}}
			if page == events/perPage-1 {
				l.Continue = ""
			}
			for i := range perPage {
				e := numbered(1+page*perPage+i, 0)
				e.LastTimestamp = metav1.NewTime(now)
				e.Message = string(long)
				l.Items = append(l.Items, *e)
			}
			_, _ = w.Write(encoded(l))
		})
	}
	open := make(chan struct{})
	got := 0
	r := startCounting(t, f.kubeconfig(t), func(ctx context.Context, logs plog.Logs) error {
		select {
		case <-open:
			got += logs.LogRecordCount()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	// Pages stop being asked for when the queue is full.
	var pages int
	poll(t, "the queue is full", func() (bool, string) {
		before := pages
		f.mu.Lock()
		pages = len(f.asked)
		f.mu.Unlock()
		time.Sleep(300 * time.Millisecond)
		return pages > 5 && pages == before, fmt.Sprint(pages, " pages")
	})
	if pages*perPage*len(long) > 2*maxQueueBytes {
		t.Errorf("%d pages were read", pages)
	}
	runtime.GC()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	if heap.HeapAlloc > 3*maxQueueBytes {
		t.Errorf("%d bytes of heap", heap.HeapAlloc)
	}
	close(open)
	poll(t, "all arrive", func() (bool, string) {
		n := r.counted(t, "crowsnest_kubeevents_events")
		return n == events, fmt.Sprint(n)
	})
}

func TestStopWhileThePipelineHangs(t *testing.T) {
	f := newFake(t, answers(list(5, "", numbered(4, 9))), answers(stays()))
	asked := make(chan struct{}, 1)
	r := startCounting(t, f.kubeconfig(t), func(ctx context.Context, _ plog.Logs) error {
		asked <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	<-asked
	if err := r.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

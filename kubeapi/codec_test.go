package kubeapi

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTableEvents(t *testing.T) {
	text := `{"type":"ADDED","object":{"kind":"Table","metadata":{"resourceVersion":"9"},"rows":[{"cells":["token","Opaque",2,"5d"],"object":{"metadata":{"name":"token","namespace":"default","resourceVersion":"8"}}}]}}
{"type":"BOOKMARK","object":{"kind":"Table","metadata":{"resourceVersion":"12"},"rows":[]}}
{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}
{"type":"ADDED","object":{"kind":"Table","rows":[]}}`
	next := codecOf(AsTable).events(strings.NewReader(text))
	e, err := next()
	if err != nil || !bytes.Contains(e.data, []byte(`"cells":["token"`)) {
		t.Errorf("%+v %v", e, err)
	}
	if e, err = next(); err != nil || e.kind != eventBookmark || e.version != "12" {
		t.Errorf("%+v %v", e, err)
	}
	if e, err = next(); err != nil || e.status == nil || !HasStatus(e.status, 410) {
		t.Errorf("%+v %v", e, err)
	}
	if _, err = next(); err == nil {
		t.Error("a table without a row is an event")
	}
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
	return append([]byte(magic), data...)
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

func named(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", ResourceVersion: "7"}}
}

func TestListsInEveryEncoding(t *testing.T) {
	for name, c := range map[string]struct {
		encoding Encoding
		text     []byte
	}{
		"protobuf": {AsProtobuf, encoded(&corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "5", Continue: "more"}, Items: []corev1.Pod{*named("a"), *named("b")}})},
		"json":     {AsJSON, []byte(`{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}],"new":[{}],"metadata":{"resourceVersion":"5","continue":"more"}}`)},
		"table":    {AsTable, []byte(`{"metadata":{"resourceVersion":"5","continue":"more"},"rows":[{"cells":["a"]},{"cells":["b"]}]}`)},
	} {
		var items []string
		meta, err := codecOf(c.encoding).list(bytes.NewReader(c.text), func(data []byte) { items = append(items, string(data)) })
		if err != nil || meta != (listMeta{version: "5", next: "more"}) || len(items) != 2 ||
			!strings.Contains(items[0], "a") || !strings.Contains(items[1], "b") {
			t.Errorf("%s: %+v %q %v", name, meta, items, err)
		}
	}
}

func TestReasons(t *testing.T) {
	for want, err := range map[Reason]error{
		Unauthorized: &StatusError{Code: http.StatusUnauthorized},
		Forbidden:    &StatusError{Code: http.StatusForbidden},
		Expired:      &StatusError{Code: http.StatusGone},
		Refused:      &StatusError{Code: http.StatusInternalServerError},
		TooLarge:     transportError{ErrTooLarge},
		Malformed:    AsMalformed(io.ErrNoProgress),
		Timeout:      context.DeadlineExceeded,
		Unreachable:  transport(io.EOF),
	} {
		if got := ReasonOf(err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
}

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	b := Backoff{Min: time.Second, Max: 5 * time.Second}
	for _, most := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
		if got := b.Next(); got < most/2 || got > most {
			t.Errorf("%v, want about %v", got, most)
		}
	}
	b.Reset()
	if got := b.Next(); got > time.Second {
		t.Errorf("%v after a success", got)
	}
}

// FuzzList reads lists in every form; none may end the program.
func FuzzList(f *testing.F) {
	f.Add(encoded(&corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "5"}, Items: []corev1.Pod{*named("a")}}))
	f.Add([]byte(`{"metadata":{"resourceVersion":"3"},"items":[{"metadata":{"name":"a"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, e := range []Encoding{AsProtobuf, AsJSON, AsTable} {
			_, _ = codecOf(e).list(bytes.NewReader(data), func([]byte) {})
		}
	})
}

// FuzzEvents reads watches in every form.
func FuzzEvents(f *testing.F) {
	f.Add(append(line("ADDED", named("a")), line(eventError, &metav1.Status{Code: 410})...))
	f.Add([]byte(`{"type":"ADDED","object":{"metadata":{"name":"a"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, e := range []Encoding{AsProtobuf, AsJSON, AsTable} {
			next := codecOf(e).events(bytes.NewReader(data))
			for {
				if _, err := next(); err != nil {
					if err == io.EOF && len(data) == 0 {
						return
					}
					break
				}
			}
		}
	})
}

package kubeevents

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/plog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// backOff is what a kubelet makes, in the old way.
func backOff() *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "web-0.17f", Namespace: "shop", UID: "e-1", ResourceVersion: "70",
			CreationTimestamp: metav1.NewTime(noon.Add(-10 * time.Minute)),
			ManagedFields:     []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:count":{}}`)}}}},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "web-0", UID: "p-1", APIVersion: "v1",
			ResourceVersion: "60", FieldPath: "spec.containers{web}"},
		Reason: "BackOff", Message: "Back-off restarting failed container", Type: "Warning",
		Source:              corev1.EventSource{Component: "kubelet", Host: "node-1"},
		FirstTimestamp:      metav1.NewTime(noon.Add(-10 * time.Minute)),
		LastTimestamp:       metav1.NewTime(noon.Add(-time.Minute)),
		Count:               4,
		ReportingController: "kubelet", ReportingInstance: "node-1",
	}
}

// failedScheduling is what a scheduler makes, in the new way.
func failedScheduling() *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "big.18a", Namespace: "shop", UID: "e-2", ResourceVersion: "71", CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "big", UID: "p-2", APIVersion: "v1"},
		Reason:         "FailedScheduling", Message: "0/1 nodes are available", Type: "Warning", Action: "Scheduling",
		EventTime:           metav1.NewMicroTime(noon.Add(-time.Hour)),
		Series:              &corev1.EventSeries{Count: 9, LastObservedTime: metav1.NewMicroTime(noon.Add(-time.Second))},
		ReportingController: "default-scheduler", ReportingInstance: "default-scheduler-cp-1",
	}
}

func decoded(t testing.TB, o *corev1.Event) *event {
	t.Helper()
	data, err := o.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	e, version, err := decode(data, noon)
	if err != nil || version != o.ResourceVersion {
		t.Fatalf("version %q, %v", version, err)
	}
	return e
}

// told is a record as a test compares it.
type told struct {
	Namespace  string
	At         time.Time
	Severity   string
	Line       string
	Attributes map[string]any
}

func tell(logs plog.Logs) (all []told) {
	for _, rl := range logs.ResourceLogs().All() {
		namespace, _ := rl.Resource().Attributes().Get("k8s.namespace.name")
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				all = append(all, told{namespace.Str(), r.Timestamp().AsTime(), r.SeverityText(), r.Body().Str(), r.Attributes().AsRaw()})
			}
		}
	}
	return all
}

func TestRecordsOfOldAndNewEvents(t *testing.T) {
	node := backOff()
	node.InvolvedObject = corev1.ObjectReference{Kind: "Node", Name: "node-2", UID: "node-2"}
	node.Namespace, node.Reason, node.Message, node.Type, node.Count = "default", "RegisteredNode", "Node node-2 event", "Normal", 1
	node.Source, node.ReportingController, node.ReportingInstance = corev1.EventSource{Component: "node-controller"}, "", ""
	logs := encode([]*event{decoded(t, backOff()), decoded(t, failedScheduling()), decoded(t, node)}, noon)

	if resources := logs.ResourceLogs().Len(); resources != 2 {
		t.Errorf("%d resources for one namespace and the cluster", resources)
	}
	for _, rl := range logs.ResourceLogs().All() {
		attributes := rl.Resource().Attributes().AsRaw()
		delete(attributes, "k8s.namespace.name")
		if diff := cmp.Diff(map[string]any{"service.name": "kubernetes-events", "k8s.node.name": ""}, attributes); diff != "" {
			t.Error(diff)
		}
	}
	want := []told{
		{"shop", noon.Add(-time.Minute), "WARN", "BackOff Pod shop/web-0: Back-off restarting failed container (x4)", map[string]any{
			"k8s.event.reason": "BackOff", "k8s.event.name": "web-0.17f", "k8s.event.uid": "e-1", "k8s.event.count": int64(4),
			"k8s.event.start_time": "2026-11-23T11:50:00Z", "k8s.event.reporting_controller": "kubelet",
			"k8s.object.kind": "Pod", "k8s.object.name": "web-0", "k8s.object.uid": "p-1", "k8s.object.api_version": "v1",
			"k8s.object.fieldpath": "spec.containers{web}", "k8s.node.name": "node-1"}},
		{"shop", noon.Add(-time.Second), "WARN", "FailedScheduling Pod shop/big: 0/1 nodes are available (x9)", map[string]any{
			"k8s.event.reason": "FailedScheduling", "k8s.event.action": "Scheduling", "k8s.event.name": "big.18a", "k8s.event.uid": "e-2", "k8s.event.count": int64(9),
			"k8s.event.start_time": "2026-11-23T11:00:00Z", "k8s.event.reporting_controller": "default-scheduler",
			"k8s.object.kind": "Pod", "k8s.object.name": "big", "k8s.object.uid": "p-2", "k8s.object.api_version": "v1"}},
		{"", noon.Add(-time.Minute), "INFO", "RegisteredNode Node node-2: Node node-2 event", map[string]any{
			"k8s.event.reason": "RegisteredNode", "k8s.event.name": "web-0.17f", "k8s.event.uid": "e-1", "k8s.event.count": int64(1),
			"k8s.event.start_time": "2026-11-23T11:50:00Z", "k8s.event.reporting_controller": "node-controller",
			"k8s.object.kind": "Node", "k8s.object.name": "node-2", "k8s.object.uid": "node-2", "k8s.node.name": "node-2"}},
	}
	if diff := cmp.Diff(want, tell(logs)); diff != "" {
		t.Error(diff)
	}
}

// Loki refuses what is too old or in the future; the API server's own time is
// close to the truth, and the same whenever it is read.
func TestTimesThatAreNotBelieved(t *testing.T) {
	created := noon.Add(-10 * time.Minute)
	for name, c := range map[string]struct {
		last, want time.Time
	}{
		"long ago":       {time.Unix(1, 0), created},
		"the far future": {noon.AddDate(80, 0, 0), created},
		"none":           {time.Time{}, created}, // backOff's first one is of then, too
		"a clock ahead":  {noon.Add(time.Minute), noon.Add(time.Minute)},
		"a late sender":  {created.Add(-time.Minute), created.Add(-time.Minute)},
	} {
		o := backOff()
		o.LastTimestamp = metav1.NewTime(c.last)
		if got := decoded(t, o).at; !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := decoded(t, &corev1.Event{}).at; !got.Equal(noon) {
		t.Errorf("without any time: %v", got)
	}
}

func TestHostileTextsAreBounded(t *testing.T) {
	o := backOff()
	o.Message = strings.Repeat("é", 1<<20)
	o.Reason = strings.Repeat("x", 1<<16)
	o.InvolvedObject.Name = "a\xffb"
	e := decoded(t, o)
	if e.cut != 2 || len(e.message) > maxMessageBytes+3 || len(e.reason) != maxWordBytes || !utf8.ValidString(e.line()) {
		t.Errorf("%d cut, message of %d bytes, reason of %d", e.cut, len(e.message), len(e.reason))
	}
	if e.size() > maxMessageBytes+2*maxWordBytes {
		t.Errorf("takes %d bytes", e.size())
	}
}

// FuzzDecode reads anything; what it takes for an event can be told.
func FuzzDecode(f *testing.F) {
	for _, o := range []*corev1.Event{backOff(), failedScheduling(), {}} {
		data, err := o.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, _, err := decode(data, noon)
		if err != nil {
			return
		}
		if e.count < 1 || e.at.After(noon.Add(maxAhead)) || !utf8.ValidString(e.line()) {
			t.Errorf("%+v", e)
		}
		if n := encode([]*event{e}, noon).LogRecordCount(); n != 1 {
			t.Errorf("%d records", n)
		}
	})
}

// BenchmarkEvent takes an event from the watch to a record.
func BenchmarkEvent(b *testing.B) {
	data, err := backOff().Marshal()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		e, _, err := decode(data, noon)
		if err != nil {
			b.Fatal(err)
		}
		encode([]*event{e}, noon)
	}
}

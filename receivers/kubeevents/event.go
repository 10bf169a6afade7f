package kubeevents

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// maxMessageBytes bounds a message: the API allows 1 KiB for new events and
	// anything for old ones.
	maxMessageBytes = 16 << 10
	// maxWordBytes bounds every other field; names of objects have at most 253.
	maxWordBytes = 512
	// eventBytes is what an event takes besides its texts.
	eventBytes = 320

	// An event's time is its sender's word. One that is further from what the
	// API server says is not believed: Loki would refuse it.
	maxBefore = time.Hour       // before the event was created
	maxAhead  = 5 * time.Minute // of our clock
	kindNode  = "Node"          // of an object
	kubelet   = "kubelet"       // as a component
)

// event is one occurrence, as much of it as is told.
type event struct {
	at      time.Time // of the occurrence
	first   time.Time // of the first one of the same event
	version uint64    // of the object at the API server; 0 if it is no number
	count   int64     // which occurrence of the event, from 1
	cut     int       // fields that were too long

	kind, reason, action, message, name, uid     string // kind: Normal or Warning
	objectKind, objectNamespace, objectName      string
	objectUID, objectAPIVersion, objectFieldPath string
	component, node                              string
}

// decode reads a v1.Event in protobuf, trimmed and bounded.
func decode(data []byte, now time.Time) (*event, string, error) {
	var o corev1.Event
	if err := o.Unmarshal(data); err != nil {
		return nil, "", fmt.Errorf("decode event: %w", err)
	}
	e := &event{at: occurred(&o, now), first: began(&o), count: 1}
	e.version, _ = strconv.ParseUint(o.ResourceVersion, 10, 64) // 0: never taken for known
	if o.Series != nil {
		e.count = max(1, int64(o.Series.Count))
	} else {
		e.count = max(1, int64(o.Count))
	}
	object := &o.InvolvedObject
	for _, field := range []struct {
		to   *string
		from string
	}{
		{&e.kind, o.Type}, {&e.reason, o.Reason}, {&e.action, o.Action}, {&e.name, o.Name}, {&e.uid, string(o.UID)},
		{&e.objectKind, object.Kind}, {&e.objectNamespace, object.Namespace}, {&e.objectName, object.Name},
		{&e.objectUID, string(object.UID)}, {&e.objectAPIVersion, object.APIVersion}, {&e.objectFieldPath, object.FieldPath},
		{&e.component, cmp.Or(o.ReportingController, o.Source.Component)}, {&e.node, node(&o)},
	} {
		*field.to = e.bounded(field.from, maxWordBytes)
	}
	e.message = e.bounded(strings.TrimSpace(o.Message), maxMessageBytes)
	return e, o.ResourceVersion, nil
}

// bounded cuts a text and makes it valid; what is kept does not hold the rest.
func (e *event) bounded(text string, most int) string {
	if len(text) > most {
		text = strings.Clone(text[:most])
		e.cut++
	}
	return strings.ToValidUTF8(text, "�")
}

// node is the one that the event is about or comes from; "" if there is none.
func node(o *corev1.Event) string {
	switch {
	case o.InvolvedObject.Kind == kindNode:
		return o.InvolvedObject.Name
	case o.Source.Host != "":
		return o.Source.Host
	case o.ReportingController == kubelet:
		return o.ReportingInstance
	}
	return ""
}

// occurred is the time of the last occurrence, which old and new senders state
// in fields of their own. It does not depend on when it is read, so that an
// event that is read twice is the same record.
func occurred(o *corev1.Event, now time.Time) time.Time {
	created := o.CreationTimestamp.Time
	var stated time.Time
	switch {
	case o.Series != nil && !o.Series.LastObservedTime.IsZero():
		stated = o.Series.LastObservedTime.Time
	case !o.LastTimestamp.IsZero():
		stated = o.LastTimestamp.Time
	case !o.EventTime.IsZero():
		stated = o.EventTime.Time
	default:
		stated = o.FirstTimestamp.Time
	}
	switch {
	case !stated.IsZero() && !stated.Before(created.Add(-maxBefore)) && !stated.After(now.Add(maxAhead)):
		return stated
	case !created.IsZero() && !created.After(now.Add(maxAhead)):
		return created
	}
	return now
}

// began is the time of the first occurrence.
func began(o *corev1.Event) time.Time {
	switch {
	case !o.FirstTimestamp.IsZero():
		return o.FirstTimestamp.Time
	case !o.EventTime.IsZero():
		return o.EventTime.Time
	}
	return o.CreationTimestamp.Time
}

// size is what the event takes in memory, about.
func (e *event) size() int64 {
	return int64(eventBytes + len(e.kind) + len(e.reason) + len(e.action) + len(e.message) + len(e.name) + len(e.uid) +
		len(e.objectKind) + len(e.objectNamespace) + len(e.objectName) + len(e.objectUID) + len(e.objectAPIVersion) +
		len(e.objectFieldPath) + len(e.component) + len(e.node))
}

// line is the event for people: "BackOff Pod shop/web-0: Back-off … (x4)". The
// number tells apart occurrences within one second, which is all that most
// senders state: two equal ones would be one line in Loki.
func (e *event) line() string {
	var b strings.Builder
	b.Grow(len(e.reason) + len(e.objectKind) + len(e.objectNamespace) + len(e.objectName) + len(e.message) + 32)
	b.WriteString(e.reason)
	b.WriteByte(' ')
	b.WriteString(e.objectKind)
	b.WriteByte(' ')
	if e.objectNamespace != "" {
		b.WriteString(e.objectNamespace)
		b.WriteByte('/')
	}
	b.WriteString(e.objectName)
	b.WriteString(": ")
	b.WriteString(e.message)
	if e.count > 1 {
		b.WriteString(" (x")
		b.WriteString(strconv.FormatInt(e.count, 10))
		b.WriteByte(')')
	}
	return b.String()
}

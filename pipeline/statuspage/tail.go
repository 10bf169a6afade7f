package statuspage

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

const (
	// maxTails is how many people can tail at once.
	maxTails = 16
	// maxTailBytes bounds what waits for one of them.
	maxTailBytes = 512 << 10
	// maxLineBytes is how much of a line is shown.
	maxLineBytes = 8 << 10
	lineCost     = 256 // bytes of a waiting line besides its texts
)

// tails are the people that tail. Without one, a tap reads an atomic and no more.
type tails struct {
	open atomic.Int32

	mu     sync.RWMutex
	all    map[*tail]struct{}
	closed bool
	done   chan struct{} // closed by close
}

func newTails() *tails { return &tails{all: map[*tail]struct{}{}, done: make(chan struct{})} }

func (t *tails) active() bool { return t.open.Load() != 0 }

var (
	errTooManyTails = errors.New("too many people tail at once")
	errClosing      = errors.New("the program is shutting down")
)

// add opens a tail; the caller removes it.
func (t *tails) add(f filter) (*tail, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errClosing
	}
	if len(t.all) >= maxTails {
		return nil, errTooManyTails
	}
	n := &tail{filter: f, wake: make(chan struct{}, 1)}
	t.all[n] = struct{}{}
	t.open.Store(int32(len(t.all)))
	return n, nil
}

func (t *tails) remove(n *tail) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, n)
	t.open.Store(int32(len(t.all)))
}

// close ends all tails; twice is safe.
func (t *tails) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		close(t.done)
	}
}

// offer shows passing records to everybody who tails.
func (t *tails) offer(ld plog.Logs) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for n := range t.all {
		n.offer(ld)
	}
}

// line is one as the browser gets it.
type line struct {
	Time      time.Time `json:"time"`
	Namespace string    `json:"namespace,omitempty"`
	Pod       string    `json:"pod,omitempty"`
	Container string    `json:"container,omitempty"`
	Severity  string    `json:"severity,omitempty"`
	Body      string    `json:"body"`
	// Lost is how many lines are missing before this one.
	Lost uint64 `json:"lost,omitempty"`
}

// tail is what waits for one person.
type tail struct {
	filter filter
	wake   chan struct{} // has one element when there is something new

	mu    sync.Mutex
	lines []line
	bytes int
	lost  uint64 // since the last line that waits
}

func (n *tail) offer(ld plog.Logs) {
	for _, rl := range ld.ResourceLogs().All() {
		source := sourceOf(rl.Resource().Attributes())
		if !n.filter.takesSource(source) {
			continue
		}
		for _, sl := range rl.ScopeLogs().All() {
			for _, record := range sl.LogRecords().All() {
				n.offerRecord(source, record)
			}
		}
	}
}

// source is what a line comes from; the texts are the records' own.
type source struct{ namespace, pod, container string }

func sourceOf(attributes pcommon.Map) source {
	return source{text(attributes, "k8s.namespace.name"), text(attributes, "k8s.pod.name"), text(attributes, "k8s.container.name")}
}

func (n *tail) offerRecord(from source, record plog.LogRecord) {
	var body string
	if record.Body().Type() == pcommon.ValueTypeStr {
		body = record.Body().Str()
	} else {
		body = record.Body().AsString()
	}
	if n.filter.text != "" && !n.filter.takesText(body) {
		return
	}
	level := severityOf(record, body)
	if level < n.filter.severity {
		return
	}
	n.push(from, record, level, body)
}

// push adds a line, or counts it if too much waits: newer ones are lost, so
// that the mark stands where they would have been, and at no cost.
func (n *tail) push(from source, record plog.LogRecord, level severity, body string) {
	cost := lineCost + len(from.namespace) + len(from.pod) + len(from.container) + min(len(body), maxLineBytes)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.bytes+cost > maxTailBytes {
		n.lost++
		return
	}
	at := record.Timestamp()
	if at == 0 {
		at = record.ObservedTimestamp()
	}
	n.bytes += cost
	n.lines = append(n.lines, line{
		Time: at.AsTime(), Severity: level.String(), Body: cutLine(body), Lost: n.lost,
		Namespace: strings.Clone(from.namespace), Pod: strings.Clone(from.pod), Container: strings.Clone(from.container),
	})
	n.lost = 0
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func cutLine(body string) string {
	if len(body) <= maxLineBytes {
		return strings.Clone(body)
	}
	return cut(body, maxLineBytes) + " …"
}

// take is what waits, as JSON, and how many lines were lost after it.
func (n *tail) take() (lines []byte, lost uint64) {
	n.mu.Lock()
	waiting := n.lines
	lost = n.lost
	n.lines, n.bytes, n.lost = nil, 0, 0
	n.mu.Unlock()
	if len(waiting) == 0 {
		return nil, lost
	}
	text, err := json.Marshal(waiting)
	if err != nil {
		panic("BUG: encode lines: " + err.Error())
	}
	return text, lost
}

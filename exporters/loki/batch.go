package loki

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exporterhelper/xexporterhelper"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

const namespaceKey = "k8s.namespace.name"

// stream is one Loki stream's share of a batch.
type stream struct {
	labels  string // Prometheus notation, names sorted
	key     uint64 // of tenant and labels
	entries []entry
	sorted  bool
	bytes   int // of the lines, roughly
}

// run is a part of a stream, in time order.
type run struct {
	stream  *stream
	entries []entry
}

// piece is what is tried in one push, as far as it fits.
type piece struct {
	runs []run
	limits
	// stored: Loki answered before that it took the valid entries, of which
	// these are. An answer that they are too far behind then tells that they
	// are there: their own, newer, neighbours are what they are behind of.
	stored bool
}

func (p *piece) len() int { return entryCount(p.runs) }

func entryCount(runs []run) int {
	n := 0
	for _, r := range runs {
		n += len(r.entries)
	}
	return n
}

// lane is the work for one tenant, first piece first.
type lane struct {
	tenant string
	todo   []piece
}

// batch is one ConsumeLogs call. exporterhelper keeps it between attempts, so
// that what Loki took once is not pushed again at each retry: pushed again, it
// would count against the rate limit, and a batch larger than Loki's burst
// would never get through.
type batch struct {
	lanes   []lane
	records int
	tally   tally
}

// tally is the fate of a batch's records, for the ledger once it is settled.
type tally struct {
	delivered int
	dropped   map[string]int // by reason
	cuts      cuts
}

func (t *tally) drop(n int, reason string) {
	if t.dropped == nil {
		t.dropped = make(map[string]int)
	}
	t.dropped[reason] += n
}

// ItemsCount is the number of records.
func (b *batch) ItemsCount() int { return b.records }

// BytesSize is unknown; only a queue would ask, and there is none.
func (b *batch) BytesSize() int { return 0 }

// MergeSplit leaves the batch whole; only a queue would ask, and there is none.
func (b *batch) MergeSplit(context.Context, int, exporterhelper.RequestSizerType, xexporterhelper.Request) ([]xexporterhelper.Request, error) {
	return []xexporterhelper.Request{b}, nil
}

// grouper sorts the records of a batch by tenant and stream.
type grouper struct {
	rules *rules
	enc   *encoder
	now   int64

	streams map[string]*stream // by tenant, a zero byte and labels
	tenants map[string][]*stream
	order   []string // tenants as they came

	values []string // of the labels, by rule
	last   *stream
	key    []byte
}

// rules are the configuration in the form the grouper needs.
type rules struct {
	names      []string // of the labels, sorted
	attributes []string // they are read from
	tenant     string
	tenants    map[string]string
	hash       func([]byte) uint64
}

func newRules(c *Config, hash func([]byte) uint64) *rules {
	r := &rules{tenant: c.Tenant, tenants: c.Tenants, hash: hash}
	for name, attribute := range c.Labels {
		if attribute != "" {
			r.names = append(r.names, name)
		}
	}
	slices.Sort(r.names)
	for _, name := range r.names {
		r.attributes = append(r.attributes, c.Labels[name])
	}
	return r
}

func (r *rules) tenantOf(resource pcommon.Resource) string {
	if len(r.tenants) > 0 {
		if v, ok := resource.Attributes().Get(namespaceKey); ok {
			if tenant, ok := r.tenants[text(v)]; ok {
				return tenant
			}
		}
	}
	return r.tenant
}

func newGrouper(r *rules, enc *encoder, now time.Time) *grouper {
	return &grouper{
		rules:   r,
		enc:     enc,
		now:     now.UnixNano(),
		streams: make(map[string]*stream),
		tenants: make(map[string][]*stream),
		values:  make([]string, len(r.names)),
	}
}

func (g *grouper) add(ld plog.Logs) {
	for _, rl := range ld.ResourceLogs().All() {
		tenant := g.rules.tenantOf(rl.Resource())
		labels, missing := g.resourceLabels(rl.Resource())
		fromRecord := make([]string, len(missing))
		for i, m := range missing {
			fromRecord[i] = g.rules.attributes[m]
		}
		o := g.enc.newOrigin(rl.Resource(), labels, fromRecord)
		for _, sl := range rl.ScopeLogs().All() {
			g.addRecords(tenant, g.enc.newScope(sl.Scope(), o), missing, sl.LogRecords())
		}
	}
}

// resourceLabels fills values from the resource. It returns the attributes
// used, and the rules that the records may still fulfil.
func (g *grouper) resourceLabels(resource pcommon.Resource) (used []string, missing []int) {
	g.last = nil
	for i, attribute := range g.rules.attributes {
		g.values[i] = ""
		if v, ok := resource.Attributes().Get(attribute); ok {
			g.values[i] = text(v)
			used = append(used, attribute)
		} else {
			missing = append(missing, i)
		}
	}
	return used, missing
}

func (g *grouper) addRecords(tenant string, o *origin, missing []int, records plog.LogRecordSlice) {
	for _, r := range records.All() {
		s := g.streamOf(tenant, missing, r, records.Len())
		t := g.timestamp(r)
		if n := len(s.entries); n > 0 && t < s.entries[n-1].timestamp {
			s.sorted = false
		}
		s.entries = append(s.entries, entry{t, r, o})
		s.bytes += o.bytes
		if r.Body().Type() == pcommon.ValueTypeStr {
			s.bytes += len(r.Body().Str())
		}
	}
}

// timestamp is the record's time in nanoseconds since 1970, else that of its
// observation, else now.
func (g *grouper) timestamp(r plog.LogRecord) int64 {
	if t := r.Timestamp(); t != 0 && t <= math.MaxInt64 {
		return int64(t)
	}
	if t := r.ObservedTimestamp(); t != 0 && t <= math.MaxInt64 {
		return int64(t)
	}
	return g.now
}

// streamOf finds a record's stream; mostly that of the record before.
func (g *grouper) streamOf(tenant string, missing []int, r plog.LogRecord, room int) *stream {
	same := g.last != nil
	for _, m := range missing {
		value := ""
		if v, ok := r.Attributes().Get(g.rules.attributes[m]); ok {
			value = text(v)
		}
		if g.values[m] != value {
			g.values[m], same = value, false
		}
	}
	if same {
		return g.last
	}
	// The first stream of a scope probably gets all of its records; further
	// ones, which a sender can make as many as it likes, grow as needed.
	if g.last != nil {
		room = 0
	}
	g.last = g.findStream(tenant, room)
	return g.last
}

func (g *grouper) findStream(tenant string, room int) *stream {
	g.key = append(append(g.key[:0], tenant...), 0)
	g.key = appendLabels(g.key, g.rules.names, g.values)
	if s, ok := g.streams[string(g.key)]; ok {
		return s
	}
	key := string(g.key)
	s := &stream{
		labels:  key[len(tenant)+1:],
		key:     g.rules.hash(g.key),
		sorted:  true,
		entries: make([]entry, 0, room),
	}
	g.streams[key] = s
	if _, ok := g.tenants[tenant]; !ok {
		g.order = append(g.order, tenant)
	}
	g.tenants[tenant] = append(g.tenants[tenant], s)
	return s
}

// appendLabels writes the labels that have a value in Prometheus notation.
// Loki refuses a stream without any.
func appendLabels(dst []byte, names, values []string) []byte {
	dst = append(dst, '{')
	start := len(dst)
	for i, name := range names {
		if values[i] == "" {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ", "...)
		}
		dst = append(append(dst, name...), '=')
		value, _ := cutString(strings.ToValidUTF8(values[i], "?"), maxLabelValueBytes)
		dst = strconv.AppendQuote(dst, value)
	}
	if len(dst) == start {
		dst = append(dst, `service_name="unknown_service"`...)
	}
	return append(dst, '}')
}

// lanes sorts each stream by time and deals them into pieces: streams whose
// refusal Loki would not report among others go alone (see standing).
func (g *grouper) lanes(known *standing, now time.Time) []lane {
	lanes := make([]lane, 0, len(g.order))
	lim := limits{lineBytes: maxLineBytes}
	for _, tenant := range g.order {
		l := lane{tenant: tenant}
		var shared []run
		for _, s := range g.tenants[tenant] {
			s.sort()
			r := run{s, s.entries}
			if known.mayShare(s, now) {
				shared = append(shared, r)
			} else {
				l.todo = append(l.todo, piece{runs: []run{r}, limits: lim})
			}
		}
		if len(shared) > 0 {
			l.todo = append(l.todo, piece{runs: shared, limits: lim})
		}
		lanes = append(lanes, l)
	}
	return lanes
}

// sort puts the entries in time order and keeps the order of equal times, so
// that no entry falls behind because of a newer one in the same batch.
func (s *stream) sort() {
	if !s.sorted {
		slices.SortStableFunc(s.entries, func(a, b entry) int {
			return cmp.Compare(a.timestamp, b.timestamp)
		})
		s.sorted = true
	}
}

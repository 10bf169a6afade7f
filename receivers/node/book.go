package node

import (
	"hash/maphash"
	"math"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// metadataType is the key of a metric's metadata with its Prometheus type.
const metadataType = "prometheus.type"

// family is a metric's name and type; its help is that last given.
type family struct {
	name, help string
	kind       dto.MetricType
}

// series is one series as it is remembered between collections.
type series struct {
	family *family
	labels []string  // names and values in turn, without empty values
	bounds []float64 // of a histogram's buckets or a summary's quantiles
	seen   uint64    // generation of the last collection that had it
	live   bool      // has been sent, and no marker was taken since
}

// tally says what one collection held.
type tally struct {
	samples    int // series, that is
	duplicates int // of them, further ones of a series that was there already
	overLimit  int // of them, beyond maxSeries
	badTimes   int // of them, with a time that nanoseconds since 1970 cannot hold
	stale      int // markers made
}

// book turns successive collections into metrics. Use is begin, then add and
// sweep; then commit. It is not safe for concurrent use.
type book struct {
	maxSeries int
	seed      maphash.Seed
	// series by a hash of name, type and labels. Of 50,000 series two share one
	// with a probability of 10^-10; the second would count as a duplicate.
	series   map[uint64]*series
	families map[familyKey]*family

	generation uint64
	now        int64 // in milliseconds since 1970
	out        pmetric.MetricSlice
	metrics    map[*family]pmetric.Metric // of this collection
	taken      int
	tally      tally
}

type familyKey struct {
	name string
	kind dto.MetricType
}

func newBook(maxSeries int) *book {
	return &book{
		maxSeries: maxSeries,
		seed:      maphash.MakeSeed(),
		series:    map[uint64]*series{},
		families:  map[familyKey]*family{},
		metrics:   map[*family]pmetric.Metric{},
	}
}

// begin starts a collection at now (milliseconds since 1970) that writes to out.
func (b *book) begin(now int64, out pmetric.MetricSlice) {
	b.generation++
	b.now, b.out = now, out
	b.taken, b.tally = 0, tally{}
}

// add takes one family of a collector.
func (b *book) add(from *dto.MetricFamily) {
	f := b.family(from)
	for _, m := range from.Metric {
		b.tally.samples++
		if b.taken >= b.maxSeries {
			b.tally.overLimit++
			continue
		}
		at := b.now
		if m.TimestampMs != nil {
			at = *m.TimestampMs
		}
		if at <= 0 || at > math.MaxInt64/1_000_000 {
			b.tally.badTimes++
			continue
		}
		if s := b.intern(f, m); s.seen == b.generation {
			b.tally.duplicates++
		} else {
			s.seen = b.generation
			b.taken++
			b.put(s, m, pcommon.Timestamp(at*1e6), len(from.Metric))
		}
	}
}

func (b *book) family(from *dto.MetricFamily) *family {
	key := familyKey{from.GetName(), from.GetType()}
	f := b.families[key]
	if f == nil {
		key.name = strings.Clone(key.name)
		f = &family{name: key.name, kind: key.kind}
		b.families[key] = f
	}
	if f.help != from.GetHelp() {
		f.help = strings.Clone(from.GetHelp())
	}
	return f
}

// intern finds or makes the series of a metric. A registry sorts labels.
func (b *book) intern(f *family, m *dto.Metric) *series {
	var hash maphash.Hash
	hash.SetSeed(b.seed)
	write := func(s string) {
		_, _ = hash.WriteString(s)
		_ = hash.WriteByte(0xff)
	}
	write(f.name)
	_ = hash.WriteByte(byte(f.kind))
	for _, l := range m.Label {
		if l.GetValue() != "" {
			write(l.GetName())
			write(l.GetValue())
		}
	}
	sum := hash.Sum64()
	s := b.series[sum]
	if s == nil {
		s = &series{family: f}
		for _, l := range m.Label {
			if l.GetValue() != "" {
				// Cloned, for it may be a part of a whole file's text.
				s.labels = append(s.labels, strings.Clone(l.GetName()), strings.Clone(l.GetValue()))
			}
		}
		b.series[sum] = s
	}
	return s
}

// metric is the one of this collection for a family, with room for n points.
func (b *book) metric(f *family, n int) pmetric.Metric {
	m, ok := b.metrics[f]
	if ok {
		return m
	}
	m = b.out.AppendEmpty()
	m.SetName(f.name)
	m.SetDescription(f.help)
	m.Metadata().PutStr(metadataType, typeName(f.kind))
	switch f.kind {
	case dto.MetricType_COUNTER:
		sum := m.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		sum.DataPoints().EnsureCapacity(n)
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	case dto.MetricType_SUMMARY:
		m.SetEmptySummary()
	default:
		m.SetEmptyGauge().DataPoints().EnsureCapacity(n)
	}
	b.metrics[f] = m
	return m
}

func typeName(kind dto.MetricType) string {
	switch kind {
	case dto.MetricType_UNTYPED:
		return "unknown"
	case dto.MetricType_GAUGE_HISTOGRAM:
		return "gaugehistogram"
	}
	return strings.ToLower(kind.String())
}

// sweep marks the series that this collection had no more.
func (b *book) sweep() {
	for _, s := range b.series {
		if s.live && s.seen != b.generation {
			b.mark(s)
			b.tally.stale++
		}
	}
}

// commit ends a collection. taken says whether the pipeline took what it made,
// so that what is gone may be forgotten.
func (b *book) commit(taken bool) {
	b.out = pmetric.MetricSlice{}
	clear(b.metrics)
	for hash, s := range b.series {
		switch {
		case s.seen == b.generation:
			s.live = s.live || taken
		case taken || !s.live:
			delete(b.series, hash)
		}
	}
}

package kubelet

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
)

// maxNativeBuckets bounds the buckets of one side of a native histogram, those
// without observations between two with counted. client_golang's own bound, where
// the kubelet sets one, is 160; a sparse one may span more.
const maxNativeBuckets = 4096

// parseProtobuf reads a page in the protobuf format: the series that the text
// format would have, and the native histograms.
func (p *page) parseProtobuf(body []byte) error {
	parser := textparse.NewProtobufParser(body, false, true, false, false, nil)
	for n := 1; ; n++ {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && entry == textparse.EntryHistogram {
			err = p.takeNative(parser)
		} else if err == nil {
			_, err = p.take(parser, entry)
		}
		if err != nil {
			return fmt.Errorf("entry %d of the protobuf page: %w", n, err)
		}
	}
}

// takeNative takes a native histogram. Its series has a family of its own,
// beside that of the classic one of its name.
func (p *page) takeNative(parser textparse.Parser) error {
	raw, time, whole, _ := parser.Histogram()
	at := p.now
	if time != nil {
		at = *time
	}
	line := append([]byte{nativeMark}, raw...)
	s := p.byLine[p.hash(line)]
	if s == nil {
		var id labels.Labels
		parser.Labels(&id)
		name := id.Get(model.MetricNameLabel)
		if p.filter.drops([]byte(name)) {
			p.tally.samples++
			p.tally.filtered++
			return nil
		}
		if p.full() {
			p.tally.samples++
			p.tally.overLimit++
			return nil
		}
		s = p.internNative(line, id.WithoutEmpty())
	}
	p.sampleNative(s, whole, at)
	return nil
}

// nativeMark sets the family and the lines of native histograms apart from
// those of classic ones. It is no byte of UTF-8, so in no name.
const nativeMark = '\xfe'

func (p *page) internNative(line []byte, id labels.Labels) *series {
	name := id.Get(model.MetricNameLabel)
	s := &series{line: p.hash(line), length: int32(len(line)), id: identityOf(id), hash: p.hash(line), role: roleNative}
	s.family = p.family(string(nativeMark) + name)
	s.family.name, s.family.metric, s.family.kind = name, name, model.MetricTypeHistogram
	s.group = &group{family: s.family} // of this one alone: keeps the family while the series is there
	if s.family.groups == nil {
		s.family.groups = map[string]*group{}
	}
	s.group.key = id.String()
	s.family.groups[s.group.key] = s.group
	p.byLine[s.line] = s
	return s
}

func (p *page) sampleNative(s *series, h *histogram.Histogram, at int64) {
	p.tally.samples++
	switch {
	case s.seen == p.generation:
		p.tally.duplicates++
		return
	case at <= 0 || at > exposition.MaxMilliseconds:
		p.tally.badTimes++
		return
	}
	positive, negative, ok := bothSides(h)
	if !ok {
		p.tally.unfit++
		return
	}
	s.seen, s.index = p.generation, int32(len(p.found))
	s.Take(at, p.now)
	p.found = append(p.found, s)
	if classic := p.families[s.family.name]; classic != nil {
		s.family.help = classic.help
	}
	p.natives = append(p.natives, native{series: s, positive: positive, negative: negative,
		schema: h.Schema, count: h.Count, sum: h.Sum, zeroThreshold: h.ZeroThreshold, zeroCount: h.ZeroCount})
}

// native is a native histogram of the page.
type native struct {
	series             *series
	positive, negative buckets
	schema             int32
	count, zeroCount   uint64
	sum, zeroThreshold float64
}

func (p *page) putNative(n *native) {
	p.reserve(1 + (len(n.positive.counts)+len(n.negative.counts))/8)
	to := p.exponentials(n.series.family).AppendEmpty()
	to.SetTimestamp(exposition.Timestamp(n.series.Sent))
	to.SetScale(n.schema)
	to.SetCount(n.count)
	to.SetSum(n.sum)
	to.SetZeroThreshold(n.zeroThreshold)
	to.SetZeroCount(n.zeroCount)
	n.positive.put(to.Positive())
	n.negative.put(to.Negative())
	attributes(to.Attributes(), n.series, "")
}

// exponentials are the data points of a family of native histograms in this request.
func (p *page) exponentials(f *family) pmetric.ExponentialHistogramDataPointSlice {
	if f.composed != p.request {
		f.composed = p.request
		h := p.metric(f, f.metric, f.kind).SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		f.natives = h.DataPoints()
	}
	return f.natives
}

// markNative writes the marker of a native histogram that is gone.
func (p *page) markNative(s *series) {
	p.reserve(1)
	to := p.exponentials(s.family).AppendEmpty()
	to.SetFlags(noValue)
	to.SetTimestamp(exposition.Timestamp(s.End(s.Marker(p.now))))
	attributes(to.Attributes(), s, "")
	p.tally.stale++
}

// bothSides gives the buckets of a histogram and whether it can go on. One of
// float counts (nil; a gauge's, which no kubelet has) cannot.
func bothSides(h *histogram.Histogram) (positive, negative buckets, ok bool) {
	if h == nil || !histogram.IsExponentialSchema(h.Schema) {
		return positive, negative, false
	}
	positive, ok1 := dense(h.PositiveSpans, h.PositiveBuckets)
	negative, ok2 := dense(h.NegativeSpans, h.NegativeBuckets)
	return positive, negative, ok1 && ok2
}

// buckets are the counts of neighbouring buckets from one on.
type buckets struct {
	offset int32
	counts []uint64
}

// dense turns spans and deltas into counts, and says whether that is possible
// within bounds. Prometheus names a bucket by its upper bound, OpenTelemetry
// by its lower: one less.
func dense(spans []histogram.Span, deltas []int64) (buckets, bool) {
	var b buckets
	count := int64(0)
	for i, span := range spans {
		if i == 0 {
			if span.Offset == math.MinInt32 {
				return b, false
			}
			b.offset = span.Offset - 1
		} else if span.Offset < 0 || int64(len(b.counts))+int64(span.Offset) > maxNativeBuckets {
			return b, false
		} else {
			b.counts = append(b.counts, make([]uint64, span.Offset)...)
		}
		if int64(len(b.counts))+int64(span.Length) > maxNativeBuckets || int(span.Length) > len(deltas) {
			return b, false
		}
		for _, delta := range deltas[:span.Length] {
			if count += delta; count < 0 {
				return b, false
			}
			b.counts = append(b.counts, uint64(count))
		}
		deltas = deltas[span.Length:]
	}
	return b, true
}

func (b buckets) put(to pmetric.ExponentialHistogramDataPointBuckets) {
	to.SetOffset(b.offset)
	to.BucketCounts().FromRaw(b.counts)
}

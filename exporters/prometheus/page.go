package prometheus

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/prompb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	pagePath = "/metrics"
	// maxScrapes at once; more get 503. Each holds the whole page in memory.
	maxScrapes = 8
)

// newPage serves the table. The page is gathered by the table itself and not
// collected through a registry, which would make and check a descriptor per
// series and scrape: the table's label sets are unique and valid as they are.
func newPage(t *table) http.Handler {
	opts := promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes}
	text := promhttp.HandlerForTransactional(gatherer{table: t}, opts)
	openMetrics := promhttp.HandlerForTransactional(gatherer{table: t, openMetrics: true}, opts)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pagePath, func(w http.ResponseWriter, r *http.Request) {
		//lint:ignore SA1019 promhttp negotiates by this function, and both must come to the same format
		if expfmt.NegotiateIncludingOpenMetrics(r.Header).FormatType() == expfmt.TypeOpenMetrics {
			openMetrics.ServeHTTP(w, r)
			return
		}
		text.ServeHTTP(w, r)
	})
	return mux
}

// gatherer reads a page out of a table.
type gatherer struct {
	table *table
	// openMetrics: a counter has "_total" at its end or it gets it, and then it
	// is another series. Kubernetes has counters without (kubelet_evictions), so
	// those are shown with unknown type in that format.
	openMetrics bool
}

var _ prometheus.TransactionalGatherer = gatherer{}

// Gather returns families sorted by name. The table is locked per family, so a
// large page does not hold up the data coming in.
func (g gatherer) Gather() ([]*dto.MetricFamily, func(), error) {
	names := g.table.familyNames()
	out := make([]*dto.MetricFamily, 0, len(names))
	for _, name := range names {
		if f := g.table.gather(name, g.openMetrics); f != nil {
			out = append(out, f)
		}
	}
	return out, func() {}, nil
}

func (t *table) familyNames() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := make([]string, 0, len(t.families))
	for name := range t.families {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// gather returns nil for a family without a live series.
func (t *table) gather(name string, openMetrics bool) *dto.MetricFamily {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.families[name]
	if f == nil {
		return nil
	}
	out := &dto.MetricFamily{
		Name: proto.String(f.name),
		Help: proto.String(f.help),
		Type: pageType(&f.family, openMetrics).Enum(),
	}
	if f.unit != "" {
		out.Unit = proto.String(f.unit)
	}
	for _, e := range f.entries {
		if !e.stale {
			out.Metric = append(out.Metric, pageMetric(&e.point, out.GetType()))
		}
	}
	if len(out.Metric) == 0 {
		return nil
	}
	return out
}

func pageType(f *family, openMetrics bool) dto.MetricType {
	switch f.typ {
	case prompb.MetricMetadata_COUNTER:
		if openMetrics && !strings.HasSuffix(f.name, "_total") {
			return dto.MetricType_UNTYPED
		}
		return dto.MetricType_COUNTER
	case prompb.MetricMetadata_GAUGE, prompb.MetricMetadata_INFO, prompb.MetricMetadata_STATESET:
		return dto.MetricType_GAUGE
	case prompb.MetricMetadata_HISTOGRAM:
		return dto.MetricType_HISTOGRAM
	case prompb.MetricMetadata_SUMMARY:
		return dto.MetricType_SUMMARY
	default:
		return dto.MetricType_UNTYPED
	}
}

func pageMetric(p *point, typ dto.MetricType) *dto.Metric {
	m := &dto.Metric{Label: pageLabels(p.labels)}
	switch {
	case p.kind == kindClassic:
		m.Histogram = pageClassic(p)
	case p.kind == kindNative:
		m.Histogram = pageNative(p)
	case p.kind == kindSummary:
		m.Summary = pageSummary(p)
	case typ == dto.MetricType_COUNTER:
		m.Counter = &dto.Counter{Value: proto.Float64(p.value)}
		if n := len(p.exemplars); n > 0 {
			m.Counter.Exemplar = pageExemplar(p.exemplars[n-1])
		}
	case typ == dto.MetricType_GAUGE:
		m.Gauge = &dto.Gauge{Value: proto.Float64(p.value)}
	default:
		m.Untyped = &dto.Untyped{Value: proto.Float64(p.value)}
	}
	return m
}

func pageLabels(from []label) []*dto.LabelPair {
	pairs := make([]dto.LabelPair, len(from))
	out := make([]*dto.LabelPair, 0, len(from))
	for i := range from {
		if from[i].Name == nameLabel {
			continue
		}
		pairs[i].Name, pairs[i].Value = &from[i].Name, &from[i].Value
		out = append(out, &pairs[i])
	}
	return out
}

func pageClassic(p *point) *dto.Histogram {
	h := &dto.Histogram{SampleCount: proto.Uint64(p.count)}
	if p.hasSum {
		h.SampleSum = proto.Float64(p.sum)
	}
	lower := math.Inf(-1)
	for i := range len(p.edges) + 1 {
		edge, n := math.Inf(1), p.count
		if i < len(p.edges) {
			edge, n = p.edges[i], p.cumulative[i]
		}
		b := &dto.Bucket{UpperBound: proto.Float64(edge), CumulativeCount: proto.Uint64(n)}
		if in := exemplarsBetween(p.exemplars, lower, edge); len(in) > 0 {
			b.Exemplar = pageExemplar(in[len(in)-1])
		}
		h.Bucket = append(h.Bucket, b)
		lower = edge
	}
	return h
}

func pageNative(p *point) *dto.Histogram {
	h := &dto.Histogram{
		SampleCount:   proto.Uint64(p.native.Count),
		SampleSum:     proto.Float64(p.native.Sum),
		Schema:        proto.Int32(p.native.Schema),
		ZeroThreshold: proto.Float64(p.native.ZeroThreshold),
		ZeroCount:     proto.Uint64(p.native.ZeroCount),
		PositiveSpan:  pageSpans(p.native.PositiveSpans),
		PositiveDelta: p.native.PositiveBuckets,
		NegativeSpan:  pageSpans(p.native.NegativeSpans),
		NegativeDelta: p.native.NegativeBuckets,
	}
	if len(h.PositiveSpan) == 0 && len(h.NegativeSpan) == 0 && p.native.ZeroCount == 0 {
		// A histogram without observations needs a span to be told from a classic one.
		h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
	}
	for _, e := range p.exemplars {
		h.Exemplars = append(h.Exemplars, pageExemplar(e))
	}
	return h
}

func pageSpans(from []histogram.Span) []*dto.BucketSpan {
	out := make([]*dto.BucketSpan, 0, len(from))
	for _, s := range from {
		out = append(out, &dto.BucketSpan{Offset: proto.Int32(s.Offset), Length: proto.Uint32(s.Length)})
	}
	return out
}

func pageSummary(p *point) *dto.Summary {
	s := &dto.Summary{SampleCount: proto.Uint64(p.count), SampleSum: proto.Float64(p.sum)}
	for i, q := range p.edges {
		s.Quantile = append(s.Quantile, &dto.Quantile{Quantile: proto.Float64(q), Value: proto.Float64(p.quantiles[i])})
	}
	slices.SortFunc(s.Quantile, func(a, b *dto.Quantile) int { return cmp.Compare(a.GetQuantile(), b.GetQuantile()) })
	return s
}

func pageExemplar(e exemplar) *dto.Exemplar {
	return &dto.Exemplar{
		Label:     pageLabels(e.labels),
		Value:     proto.Float64(e.value),
		Timestamp: &timestamppb.Timestamp{Seconds: e.timestampMs / 1000, Nanos: int32(e.timestampMs % 1000 * 1e6)},
	}
}

package prometheus

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// encodeV1 makes a remote write 1.0 request of points and, beside them, of
// families whose metadata is due.
func encodeV1(points []*point, metadata []*family) *prompb.WriteRequest {
	var arena labelArena
	var wire wireLabels
	req := &prompb.WriteRequest{Timeseries: make([]prompb.TimeSeries, 0, countSeries(points))}
	for _, p := range points {
		p.expand(&arena, func(s series) {
			ts := prompb.TimeSeries{Labels: wire.of(s.labels)}
			if s.native != nil {
				ts.Histograms = []prompb.Histogram{prompb.FromIntHistogram(p.timestampMs, staleCount(s.native))}
			} else {
				ts.Samples = []prompb.Sample{{Value: s.value, Timestamp: p.timestampMs}}
			}
			for _, e := range s.exemplars {
				ts.Exemplars = append(ts.Exemplars, prompb.Exemplar{Labels: wire.of(e.labels), Value: e.value, Timestamp: e.timestampMs})
			}
			req.Timeseries = append(req.Timeseries, ts)
		})
	}
	for _, f := range metadata {
		req.Metadata = append(req.Metadata, prompb.MetricMetadata{Type: f.typ, MetricFamilyName: f.name, Help: f.help, Unit: f.unit})
	}
	return req
}

// wireLabels converts labels, with one allocation for many series.
type wireLabels struct {
	free []prompb.Label
}

func (w *wireLabels) of(from []label) []prompb.Label {
	if len(w.free) < len(from) {
		w.free = make([]prompb.Label, max(len(from), arenaLabels))
	}
	out := w.free[:len(from):len(from)]
	w.free = w.free[len(from):]
	for i, l := range from {
		out[i].Name, out[i].Value = l.Name, l.Value
	}
	return out
}

// encodeV2 makes a remote write 2.0 request; metadata is in each series.
func encodeV2(points []*point) *writev2.Request {
	var arena labelArena
	symbols := writev2.NewSymbolTable()
	req := &writev2.Request{Timeseries: make([]writev2.TimeSeries, 0, countSeries(points))}
	for _, p := range points {
		metadata := writev2.Metadata{
			Type:    writev2.Metadata_MetricType(p.family.typ), // the enumerations agree
			HelpRef: symbols.Symbolize(p.family.help),
			UnitRef: symbols.Symbolize(p.family.unit),
		}
		p.expand(&arena, func(s series) {
			ts := writev2.TimeSeries{LabelsRefs: symbolize(&symbols, s.labels), Metadata: metadata}
			if s.native != nil {
				ts.Histograms = []writev2.Histogram{writev2.FromIntHistogram(p.startMs, p.timestampMs, staleCount(s.native))}
			} else {
				ts.Samples = []writev2.Sample{{Value: s.value, Timestamp: p.timestampMs, StartTimestamp: p.startMs}}
			}
			for _, e := range s.exemplars {
				ts.Exemplars = append(ts.Exemplars, writev2.Exemplar{LabelsRefs: symbolize(&symbols, e.labels), Value: e.value, Timestamp: e.timestampMs})
			}
			req.Timeseries = append(req.Timeseries, ts)
		})
	}
	req.Symbols = symbols.Symbols()
	return req
}

func countSeries(points []*point) int {
	n := 0
	for _, p := range points {
		n += p.seriesCount()
	}
	return n
}

func symbolize(t *writev2.SymbolsTable, from []label) []uint32 {
	refs := make([]uint32, 0, 2*len(from))
	for i := range from {
		refs = append(refs, t.Symbolize(from[i].Name), t.Symbolize(from[i].Value))
	}
	return refs
}

// staleCount gives a stale histogram the count that Prometheus's own senders
// write; the sum is what makes it stale.
func staleCount(h *histogram.Histogram) *histogram.Histogram {
	if value.IsStaleNaN(h.Sum) {
		return &histogram.Histogram{Sum: h.Sum, Count: value.StaleNaN}
	}
	return h
}

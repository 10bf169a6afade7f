package scrape

import (
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/crowsnest-o11y/crowsnest/exposition"
)

// metadataType is the key of a Metric's metadata that holds the exposition's
// type, by the convention of opentelemetry-collector-contrib
// (pkg/translator/prometheus.MetricMetadataTypeKey).
const metadataType = "prometheus.type"

// place is the resource that a series is sent under.
type place uint8

const (
	ofTarget place = iota // its target labels are on the resource
	bare                  // relabelling took target labels away: it bears all it has itself
	places
)

// role is what a series is to the data point it belongs to.
type role uint8

const (
	roleNumber role = iota // a data point of its own
	roleBound              // a histogram's bucket, a summary's quantile
	roleSum                // _sum
	roleCount              // _count
	roleNative             // a native histogram
)

// series is one line of the page as it is remembered between scrapes.
type series struct {
	raw     string        // the line up to its value, as last written
	id      labels.Labels // name and labels as stored, without those of its place
	hash    uint64        // of id and place
	place   place
	role    role
	dropped bool // by relabelling; nothing else is set but raw and seen
	live    bool // has been sent, and no marker was taken since

	metric *metric // of its data points when it stands alone; nil until needed
	group  *group  // nil for one that never is part of a composed point
	bound  float64 // of a bucket or quantile

	seen  uint64 // generation of the last page that had it
	value float64
	exposition.Times
	start     int64 // in milliseconds since 1970; 0: not told
	exemplars []exemplar.Exemplar
}

// bytes is about what a series costs in memory: its texts, itself and its
// places in two maps.
func (s *series) bytes() int { return len(s.raw) + int(s.id.ByteSize()) + 256 }

// family is what the page declares by TYPE, HELP and UNIT.
type family struct {
	name string
	kind model.MetricType
	help string
	unit string
	seen uint64 // generation of the last page that declared it
}

// shape is the kind of data points that a metric holds.
type shape uint8

const (
	shapeNumber shape = iota
	shapeHistogram
	shapeSummary
	shapeNative
)

// metric is one that is sent, under each place.
type metric struct {
	name  string
	kind  model.MetricType
	help  string
	unit  string
	shape shape
	used  uint64 // generation of the last page that had points of it

	made       [places]uint64 // generation of the page to which the slices belong
	numbers    [places]pmetric.NumberDataPointSlice
	histograms [places]pmetric.HistogramDataPointSlice
	summaries  [places]pmetric.SummaryDataPointSlice
	natives    [places]pmetric.ExponentialHistogramDataPointSlice
}

type metricKey struct {
	name  string
	shape shape
}

// group is the series that make one data point of a classic histogram or a
// summary together.
type group struct {
	metric *metric
	id     labels.Labels // of its series but for the name, and le or quantile
	hash   uint64        // of id, place and the metric's name
	place  place
	bounds []*series // ascending
	sum    *series
	count  *series

	seen   uint64 // generation of the last page that had one of them
	marked uint64 // generation of the page that was found to have none
	whole  bool   // was last sent as one data point, not as parts
}

// member says which part of a family a series is, by its name and labels.
func (f *family) member(id labels.Labels) (r role, label string, bound float64, ok bool) {
	name := id.Get(model.MetricNameLabel)
	suffix, ok := strings.CutPrefix(name, f.name)
	if !ok {
		return 0, "", 0, false
	}
	switch f.kind {
	case model.MetricTypeHistogram:
		switch suffix {
		case "_bucket":
			bound, ok = boundOf(id, labels.BucketLabel)
			return roleBound, labels.BucketLabel, bound, ok
		case "_sum":
			return roleSum, "", 0, true
		case "_count":
			return roleCount, "", 0, true
		}
	case model.MetricTypeSummary:
		switch suffix {
		case "":
			bound, ok = boundOf(id, model.QuantileLabel)
			return roleBound, model.QuantileLabel, bound, ok
		case "_sum":
			return roleSum, "", 0, true
		case "_count":
			return roleCount, "", 0, true
		}
	}
	return 0, "", 0, false
}

// owns says whether a series that stands alone is of the family's type.
func (f *family) owns(name string) bool {
	suffix, ok := strings.CutPrefix(name, f.name)
	if !ok {
		return false
	}
	switch f.kind {
	case model.MetricTypeCounter:
		return suffix == "" || suffix == "_total"
	case model.MetricTypeInfo:
		return suffix == "" || suffix == "_info"
	case model.MetricTypeGauge, model.MetricTypeStateset, model.MetricTypeUnknown:
		return suffix == ""
	}
	return false
}

// boundOf takes the bound from a label and says whether it is a number, and
// written as it will be again.
func boundOf(id labels.Labels, label string) (float64, bool) {
	text := id.Get(label)
	bound, err := strconv.ParseFloat(text, 64)
	return bound, err == nil && !math.IsNaN(bound) && text == labels.FormatOpenMetricsFloat(bound)
}

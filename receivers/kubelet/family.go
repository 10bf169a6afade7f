package kubelet

import (
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// metadataType is the key of a Metric's metadata that holds the exposition's
// type, by the convention of opentelemetry-collector-contrib
// (pkg/translator/prometheus.MetricMetadataTypeKey).
const metadataType = "prometheus.type"

// role is what a series is to the data point it belongs to.
type role uint8

const (
	roleNumber  role = iota // a data point of its own
	roleBound               // a histogram's bucket, a summary's quantile
	roleSum                 // _sum
	roleCount               // _count
	roleTotal               // _total of an OpenMetrics counter
	roleCreated             // _created: the start of the others
	roleNative              // a native histogram, a data point of its own
)

// family is what a TYPE line declares, or a lone series by appearing.
type family struct {
	name     string // as declared
	metric   string // of the data points
	help     string
	unit     string
	kind     model.MetricType
	declared uint64 // generation of the page that declared it

	used    uint64 // request to which numbers belongs
	numbers pmetric.NumberDataPointSlice
	left    int // numbers of this page that are not written yet

	composed   uint64 // request to which these belong
	histograms pmetric.HistogramDataPointSlice
	summaries  pmetric.SummaryDataPointSlice
	natives    pmetric.ExponentialHistogramDataPointSlice

	groups  map[string]*group
	present []*group // on this page, in its order
}

// group is the series of a family that make one data point together.
type group struct {
	family  *family
	key     string
	bounds  []*series // ascending; the buckets or quantiles
	sum     *series
	count   *series
	total   *series
	created *series

	seen   uint64 // generation of the last page that had one of them
	marked uint64 // generation of the page that was found to have none
	whole  bool   // was last sent as one data point, not as parts
}

// declare makes a family mean what the page's TYPE line says. One that comes
// after the family's first sample is ignored until it comes before.
func (p *page) declare(name string, kind model.MetricType) {
	f := p.family(name)
	if f.declared == p.generation {
		return
	}
	p.define(f, kind)
}

func (p *page) define(f *family, kind model.MetricType) {
	known := f.declared != 0
	f.declared = p.generation
	f.present, f.left = f.present[:0], 0
	metric := f.name
	if p.openMetrics && kind == model.MetricTypeCounter {
		metric += "_total"
	} else if kind == model.MetricTypeInfo {
		metric += "_info"
	}
	if known && (f.kind != kind || f.metric != metric) {
		p.epoch++
	}
	f.kind, f.metric = kind, metric
}

func (p *page) family(name string) *family {
	f := p.families[name]
	if f == nil {
		f = &family{name: name, metric: name, kind: model.MetricTypeUnknown}
		p.families[name] = f
	}
	return f
}

// loose is the family of series that have a declared family's name but cannot
// belong to it. Its key cannot be a name: the first byte is none of UTF-8.
func (p *page) loose(name string) *family {
	f := p.family("\xff" + name)
	if f.declared != p.generation {
		f.name = name
		p.define(f, model.MetricTypeUnknown)
	}
	return f
}

// binding is the place of a series among its family.
type binding struct {
	page   *page
	name   string
	family *family
	role   role
	label  string // that sets members of one group apart: le, quantile or ""
	bound  float64
}

// suffixes are those that the types add to a family's name. Which of them a
// family of that type has is for member to say.
var suffixes = []struct {
	text string
	role role
}{
	{"_bucket", roleBound}, {"_sum", roleSum}, {"_count", roleCount},
	{"_total", roleTotal}, {"_created", roleCreated}, {"_info", roleNumber},
}

// bind finds where a series belongs by what the page declared so far.
func (p *page) bind(id labels.Labels) binding {
	b := binding{page: p, name: id.Get(model.MetricNameLabel)}
	exact := p.families[b.name]
	if exact != nil && exact.declared == p.generation {
		if exact.kind == model.MetricTypeSummary && b.bounded(id, "quantile") {
			b.family, b.role = exact, roleBound
			return b
		}
		if exact.metric == b.name && exact.kind != model.MetricTypeSummary && exact.kind != model.MetricTypeHistogram {
			b.family = exact
			return b
		}
	}
	for _, s := range suffixes {
		base, ok := strings.CutSuffix(b.name, s.text)
		if f := p.families[base]; ok && f != nil && f.declared == p.generation && b.member(f, s.role, id) {
			b.family, b.role = f, s.role
			return b
		}
	}
	b.scatter()
	return b
}

// scatter puts the series into an undeclared family.
func (b *binding) scatter() {
	p := b.page
	b.role, b.label = roleNumber, ""
	b.family = p.family(b.name)
	switch {
	case b.family.declared != p.generation:
		p.define(b.family, model.MetricTypeUnknown)
	case b.family.kind != model.MetricTypeUnknown || b.family.metric != b.name:
		b.family = p.loose(b.name)
	}
}

// member says whether a family has a series of that role, and notes what sets
// the series apart from the others of its group.
func (b *binding) member(f *family, r role, id labels.Labels) bool {
	switch f.kind {
	case model.MetricTypeHistogram:
		if r == roleBound {
			return b.bounded(id, labels.BucketLabel)
		}
		return r == roleSum || r == roleCount || r == roleCreated && b.page.openMetrics
	case model.MetricTypeSummary:
		return r == roleSum || r == roleCount || r == roleCreated && b.page.openMetrics
	case model.MetricTypeCounter:
		return b.page.openMetrics && (r == roleTotal || r == roleCreated)
	case model.MetricTypeInfo:
		return r == roleNumber
	}
	return false
}

// bounded takes the bound from a label and says whether it is a number.
func (b *binding) bounded(id labels.Labels, label string) bool {
	bound, err := strconv.ParseFloat(id.Get(label), 64)
	if err != nil || bound != bound {
		return false
	}
	b.label, b.bound = label, bound
	return true
}

// normal gives the bound the one form that Prometheus 3 stores: 1 is "1.0".
// The parser does that as well, but only after a TYPE line, which it does not
// see when it is given a single line.
func (b *binding) normal(id labels.Labels) labels.Labels {
	if b.role != roleBound {
		return id
	}
	text := labels.FormatOpenMetricsFloat(b.bound)
	if id.Get(b.label) == text {
		return id
	}
	return labels.NewBuilder(id).Set(b.label, text).Labels()
}

// attach makes the series a member of its family and group.
func (b binding) attach(s *series) {
	if b.role != roleNumber {
		g := b.family.group(string(s.id.all().BytesWithoutLabels(nil, model.MetricNameLabel, b.label)))
		if g.add(s, b.role, b.bound) {
			s.group = g
		} else {
			b.scatter()
		}
	}
	s.family, s.role, s.bound, s.epoch = b.family, b.role, b.bound, b.page.epoch
}

func (f *family) group(key string) *group {
	g := f.groups[key]
	if g == nil {
		if f.groups == nil {
			f.groups = map[string]*group{}
		}
		g = &group{family: f, key: key}
		f.groups[key] = g
	}
	return g
}

// add takes a series as member, unless its place is taken.
func (g *group) add(s *series, r role, bound float64) bool {
	if r == roleBound {
		i, found := slices.BinarySearchFunc(g.bounds, bound, compareBound)
		if !found {
			g.bounds = slices.Insert(g.bounds, i, s)
		}
		return !found
	}
	place := g.place(r)
	if *place != nil {
		return false
	}
	*place = s
	return true
}

func compareBound(s *series, bound float64) int {
	switch {
	case s.bound < bound:
		return -1
	case s.bound > bound:
		return 1
	}
	return 0
}

func (g *group) place(r role) **series {
	switch r {
	case roleSum:
		return &g.sum
	case roleCount:
		return &g.count
	case roleTotal:
		return &g.total
	default:
		return &g.created
	}
}

// detach takes the series out of its group, and an empty group out of its family.
func (s *series) detach() {
	g := s.group
	if g == nil {
		return
	}
	s.group = nil
	if s.role == roleBound {
		g.bounds = slices.DeleteFunc(g.bounds, func(other *series) bool { return other == s })
	} else {
		*g.place(s.role) = nil
	}
	if len(g.bounds) == 0 && g.sum == nil && g.count == nil && g.total == nil && g.created == nil && g.family.groups[g.key] == g {
		delete(g.family.groups, g.key)
	}
}

// gather notes that the page has the group.
func (p *page) gather(g *group) {
	if g.seen == p.generation {
		return
	}
	g.seen = p.generation
	if len(g.family.present) == 0 {
		p.grouped = append(p.grouped, g.family)
	}
	g.family.present = append(g.family.present, g)
}

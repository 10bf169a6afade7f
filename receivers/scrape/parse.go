package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// limits bound what one page may hold, as Prometheus' settings of the same
// names do: a page beyond one of them is refused whole. 0: no limit.
type limits struct {
	samples          int
	labels           int
	labelNameLength  int
	labelValueLength int
}

// format says how a page is to be read.
type format struct {
	contentType string
	native      bool // take native histograms
	classic     bool // take the classic form beside the native one
	ownTimes    bool // honour the page's timestamps
}

// parse reads a whole page. After an error out holds rubbish, and the scrape
// has to be begun again.
func (p *page) parse(body []byte, f format) error {
	parser, err := textparse.New(body, f.contentType, nil, textparse.ParserOptions{
		IgnoreNativeHistograms:                  !f.native,
		KeepClassicOnClassicAndNativeHistograms: f.classic,
		OpenMetricsSkipSTSeries:                 true,
		FallbackContentType:                     "text/plain",
	})
	if parser == nil {
		return &failure{outcomeContent, fmt.Errorf("answered with Content-Type %q: %w", f.contentType, err), "that is no metrics page"}
	}
	if _, binary := parser.(*textparse.ProtobufParser); !binary && bytes.IndexByte(body, 0) >= 0 {
		// The parser takes it for the end, and so half a page for a whole one.
		return &failure{outcomeMalformed, errors.New("page has a zero byte"), "the whole page is refused; report it to whoever exports it"}
	}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &failure{outcomeMalformed, err, "the whole page is refused, as Prometheus would; report the line to whoever exports it"}
		}
		if err := p.entry(parser, entry, f); err != nil {
			return err
		}
	}
	p.assemble()
	return nil
}

func (p *page) entry(parser textparse.Parser, entry textparse.Entry, f format) error {
	switch entry {
	case textparse.EntryType:
		name, kind := parser.Type()
		p.declare(name, func(f *family) bool { return set(&f.kind, kind) })
	case textparse.EntryHelp:
		name, help := parser.Help()
		p.declare(name, func(f *family) bool {
			if f.help != string(help) {
				f.help = string(help)
				p.redescribe(f)
			}
			return false
		})
	case textparse.EntryUnit:
		name, unit := parser.Unit()
		p.declare(name, func(f *family) bool {
			if f.unit != string(unit) {
				f.unit = string(unit)
				p.redescribe(f)
			}
			return false
		})
	case textparse.EntrySeries:
		raw, time, value := parser.Series()
		return p.line(parser, raw, p.timeOf(time, f), value)
	case textparse.EntryHistogram:
		raw, time, h, fh := parser.Histogram()
		return p.histogram(parser, raw, p.timeOf(time, f), h, fh)
	}
	return nil
}

func set[T comparable](to *T, v T) (changed bool) {
	changed = *to != v
	*to = v
	return changed
}

func (p *page) timeOf(own *int64, f format) int64 {
	if own != nil && f.ownTimes {
		return *own
	}
	return p.now
}

// declare makes a family the current one and changes it. What lines mean
// depends on their families' types: when one changes, all are read anew.
func (p *page) declare(name []byte, change func(*family) (meaning bool)) {
	f := p.families[string(name)]
	if f == nil {
		f = &family{name: string(name), kind: model.MetricTypeUnknown}
		p.families[f.name] = f
	}
	f.seen = p.generation
	p.current = f
	if change(f) {
		p.reread()
		p.redescribe(f)
	}
}

func (p *page) redescribe(*family) {
	for _, m := range p.metrics {
		p.describe(m)
	}
}

// line takes one sample of a page.
func (p *page) line(parser textparse.Parser, raw []byte, time int64, value float64) error {
	s, err := p.series(parser, raw)
	if err != nil || s == nil || !p.sample(s, value, time) {
		return err
	}
	s.start = parser.StartTimestamp()
	s.exemplars = exemplarsOf(parser)
	if s.group == nil {
		p.putNumber(s)
		return nil
	}
	if g := s.group; g.seen != p.generation {
		g.seen = p.generation
		p.present = append(p.present, g)
	}
	return nil
}

func (p *page) histogram(parser textparse.Parser, raw []byte, time int64, h *histogram.Histogram, fh *histogram.FloatHistogram) error {
	s, err := p.series(parser, raw)
	if err != nil || s == nil || !p.sample(s, 0, time) {
		return err
	}
	s.start = parser.StartTimestamp()
	s.exemplars = exemplarsOf(parser)
	if !p.putNative(s, h, fh) {
		p.tally.unsupported++
	}
	return nil
}

func exemplarsOf(parser textparse.Parser) []exemplar.Exemplar {
	var all []exemplar.Exemplar
	for e := (exemplar.Exemplar{}); parser.Exemplar(&e); e = (exemplar.Exemplar{}) {
		all = append(all, e)
	}
	return all
}

// series finds or makes the one of a line; nil if relabelling drops it.
func (p *page) series(parser textparse.Parser, raw []byte) (*series, error) {
	p.tally.samples++
	s := p.byRaw[string(raw)]
	if s == nil {
		var id labels.Labels
		parser.Labels(&id)
		var err error
		if s, err = p.intern(raw, id); err != nil {
			return nil, err
		}
	}
	if s.dropped {
		s.seen = p.generation
		return nil, nil
	}
	if limit := p.rules.limits.samples; limit > 0 && p.tally.kept >= limit {
		p.tally.kept++
		return nil, &failure{outcomeSampleLimit, fmt.Errorf("page has more samples than the limit (%d)", limit),
			"the whole page is refused, as Prometheus would; drop series by metric relabelling, or raise the limit"}
	}
	return s, nil
}

// intern finds or makes the series of a line not seen in this form before.
func (p *page) intern(raw []byte, id labels.Labels) (*series, error) {
	if name, twice := id.HasDuplicateLabelNames(); twice {
		return nil, &failure{outcomeMalformed, fmt.Errorf("label %q is there twice in %.200q", name, raw), "report the line to whoever exports it"}
	}
	id = p.rules.mutate(id)
	if id.IsEmpty() {
		return p.keep(&series{raw: string(raw), dropped: true})
	}
	if err := p.check(id); err != nil {
		return nil, err
	}
	id, at := p.strip(id)
	hash := id.Hash() ^ uint64(at)<<8
	if old := p.byID[hash]; old != nil && old.place == at && labels.Equal(old.id, id) {
		return p.respell(old, raw)
	}
	s := &series{raw: string(raw), id: id, hash: hash, place: at}
	if _, err := p.keep(s); err != nil {
		return nil, err
	}
	p.byID[hash] = s
	p.attach(s)
	return s, nil
}

// keep remembers a series, if there is memory for it.
func (p *page) keep(s *series) (*series, error) {
	n := int64(s.bytes())
	if !p.memory.take(n) {
		return nil, &failure{outcomeMemory, fmt.Errorf("all targets' series together take more than %d bytes", p.memory.limit),
			"the whole page is refused; scrape fewer targets on this node, drop series by metric relabelling, or raise max_cache_bytes"}
	}
	p.held += n
	p.byRaw[s.raw] = s
	return s, nil
}

// respell makes raw the one spelling by which s is known; one, so that a page
// that writes its labels in ever new orders does not grow the cache.
func (p *page) respell(s *series, raw []byte) (*series, error) {
	if s.seen == p.generation {
		return s, nil // a duplicate; the first one's spelling stays
	}
	more := int64(len(raw) - len(s.raw))
	if more > 0 && !p.memory.take(more) {
		return nil, &failure{outcomeMemory, fmt.Errorf("all targets' series together take more than %d bytes", p.memory.limit), "raise max_cache_bytes"}
	}
	if more < 0 {
		p.memory.give(-more)
	}
	p.held += more
	if p.byRaw[s.raw] == s {
		delete(p.byRaw, s.raw)
	}
	s.raw = string(raw)
	p.byRaw[s.raw] = s
	p.attach(s)
	return s, nil
}

// strip takes the labels away that the series' place has.
func (p *page) strip(id labels.Labels) (labels.Labels, place) {
	whole := true
	p.rules.place.Range(func(l labels.Label) { whole = whole && id.Has(l.Name) })
	if !whole {
		return id, bare
	}
	p.builder.Reset()
	id.Range(func(l labels.Label) {
		if p.rules.place.Get(l.Name) != l.Value {
			p.builder.Add(l.Name, l.Value)
		}
	})
	return p.builder.Labels(), ofTarget
}

// check refuses labels beyond the limits, with Prometheus' words.
func (p *page) check(id labels.Labels) error {
	name := id.Get(model.MetricNameLabel)
	if name == "" {
		return &failure{outcomeMalformed, errors.New("series has no name"), "report it to whoever exports it, or mend the metric relabelling"}
	}
	if !id.IsValid(model.UTF8Validation) {
		return &failure{outcomeMalformed, fmt.Errorf("invalid metric name or label names: %.200s", id.String()), "report it to whoever exports it"}
	}
	refuse := func(format string, args ...any) error {
		return &failure{outcomeLabelLimit, fmt.Errorf("metric %.50s: "+format, append([]any{name}, args...)...),
			"the whole page is refused, as Prometheus would; drop the label by metric relabelling, or raise the limit"}
	}
	l := p.rules.limits
	if n := id.Len(); l.labels > 0 && n > l.labels {
		return refuse("%d labels, the limit is %d", n, l.labels)
	}
	return id.Validate(func(label labels.Label) error {
		if n := len(label.Name); l.labelNameLength > 0 && n > l.labelNameLength {
			return refuse("the label name %.50s... is %d bytes long, the limit is %d", label.Name, n, l.labelNameLength)
		}
		if n := len(label.Value); l.labelValueLength > 0 && n > l.labelValueLength {
			return refuse("the value of label %s is %d bytes long, the limit is %d", label.Name, n, l.labelValueLength)
		}
		return nil
	})
}

// relabelled gives what Prometheus makes of a series' labels: the target's are
// added, those in their way renamed unless honoured, then the rules applied.
func relabelled(target labels.Labels, honor bool, process func(*labels.Builder) bool) func(labels.Labels) labels.Labels {
	return func(id labels.Labels) labels.Labels {
		b := labels.NewBuilder(id)
		var conflicts []labels.Label
		target.Range(func(l labels.Label) {
			own := id.Get(l.Name)
			if honor && id.Has(l.Name) {
				return
			}
			if own != "" {
				conflicts = append(conflicts, labels.Label{Name: l.Name, Value: own})
			}
			b.Set(l.Name, l.Value)
		})
		setAside(b, conflicts)
		if !process(b) {
			return labels.EmptyLabels()
		}
		return b.Labels()
	}
}

// setAside gives labels that the target's took the place of names of their own.
func setAside(b *labels.Builder, conflicts []labels.Label) {
	for _, l := range conflicts {
		name := model.ExportedLabelPrefix + l.Name
		for b.Get(name) != "" {
			name = model.ExportedLabelPrefix + name
		}
		b.Set(name, l.Value)
	}
}

// isInternal says whether a label is for targets only.
func isInternal(name string) bool { return strings.HasPrefix(name, model.ReservedLabelPrefix) }

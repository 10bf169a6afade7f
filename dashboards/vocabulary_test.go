package dashboards

import (
	"fmt"
	"maps"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/crowsnest-o11y/crowsnest/test/world"
)

type labelSet map[string]bool

func setOf(names ...string) labelSet {
	set := labelSet{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

func (s labelSet) with(names ...string) labelSet {
	all := maps.Clone(s)
	maps.Copy(all, setOf(names...))
	return all
}

func (s labelSet) without(names ...string) labelSet {
	rest := maps.Clone(s)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// readVocabulary gives the labels of every metric that there is.
func readVocabulary() map[string]labelSet {
	known := map[string]labelSet{}
	for metric, names := range world.Labels() {
		known[metric] = setOf(names...)
	}
	return known
}

// reading goes through an expression for the labels that its result has.
type reading struct {
	known  map[string]labelSet
	faults []string
}

func (r *reading) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *reading) need(set labelSet, where string, names ...string) {
	for _, name := range names {
		if set != nil && !set[name] {
			r.fault("%s %s, which is not there", where, name)
		}
	}
}

// labels is nil for scalars, strings and vectors without labels.
func (r *reading) labels(expr parser.Expr) labelSet {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		return r.selector(e)
	case *parser.MatrixSelector:
		return r.labels(e.VectorSelector)
	case *parser.SubqueryExpr:
		return r.labels(e.Expr)
	case *parser.ParenExpr:
		return r.labels(e.Expr)
	case *parser.UnaryExpr:
		return r.labels(e.Expr)
	case *parser.StepInvariantExpr:
		return r.labels(e.Expr)
	case *parser.AggregateExpr:
		return r.aggregate(e)
	case *parser.Call:
		return r.call(e)
	case *parser.BinaryExpr:
		return r.binary(e)
	}
	return nil
}

func (r *reading) selector(s *parser.VectorSelector) labelSet {
	var set labelSet
	for _, matcher := range s.LabelMatchers {
		if matcher.Name != model.MetricNameLabel {
			continue
		}
		for metric := range strings.SplitSeq(matcher.Value, "|") {
			if r.known[metric] == nil {
				r.fault("metric %s is not there", metric)
				continue
			}
			set = r.known[metric].with()
		}
	}
	for _, matcher := range s.LabelMatchers {
		if matcher.Name != model.MetricNameLabel {
			r.need(set, "matches", matcher.Name)
		}
	}
	return set
}

func (r *reading) aggregate(e *parser.AggregateExpr) labelSet {
	inner := r.labels(e.Expr)
	switch e.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK:
		return inner
	}
	if e.Without {
		return inner.without(e.Grouping...)
	}
	r.need(inner, "groups by", e.Grouping...)
	return setOf(e.Grouping...)
}

func (r *reading) call(e *parser.Call) labelSet {
	var inner labelSet
	for _, argument := range e.Args {
		if set := r.labels(argument); set != nil {
			inner = set
		}
	}
	switch e.Func.Name {
	case "label_replace":
		text := func(i int) string { return e.Args[i].(*parser.StringLiteral).Val }
		r.need(inner, "replaces", text(3))
		return inner.with(text(1))
	case "histogram_quantile":
		r.need(inner, "quantile of", "le")
		return inner.without("le")
	}
	return inner
}

func (r *reading) binary(e *parser.BinaryExpr) labelSet {
	left, right := r.labels(e.LHS), r.labels(e.RHS)
	if left == nil {
		return right
	}
	if right == nil || e.VectorMatching == nil {
		return left
	}
	m := e.VectorMatching
	if m.On {
		r.need(left, "joins by", m.MatchingLabels...)
		r.need(right, "joins by", m.MatchingLabels...)
	}
	switch {
	case e.Op == parser.LOR:
		return left.with(keys(right)...)
	case e.Op.IsSetOperator():
		return left
	case m.Card == parser.CardManyToOne:
		r.need(right, "takes over", m.Include...)
		return left.with(m.Include...)
	case m.Card == parser.CardOneToMany:
		r.need(left, "takes over", m.Include...)
		return right.with(m.Include...)
	case m.On:
		return setOf(m.MatchingLabels...)
	}
	if !maps.Equal(left.without(m.MatchingLabels...), right.without(m.MatchingLabels...)) {
		r.fault("%s joins %v and %v, which differ", e.Op, keys(left), keys(right))
	}
	return left.without(m.MatchingLabels...)
}

func keys(set labelSet) []string {
	var names []string
	for name := range set {
		names = append(names, name)
	}
	return names
}

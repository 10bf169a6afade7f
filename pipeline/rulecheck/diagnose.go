package rulecheck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Verdict on a query.
type Verdict string

// Verdicts.
const (
	Data    Verdict = "data"    // it can return data: it does, once its conditions are met
	Pending Verdict = "pending" // what it reads is recorded by a rule that can return data, and has not been yet
	Empty   Verdict = "empty"   // it cannot return data from what is stored
	Bad     Verdict = "bad"     // it cannot be evaluated
	Untried Verdict = "untried" // a LogQL query, and no Loki was named
)

// Result is the verdict on a query with its reason.
type Result struct {
	Query
	Verdict Verdict
	Reason  string // empty for Data
}

// Check gives a verdict on each query, in their order.
func Check(ctx context.Context, s *Stores, queries []Query) ([]Result, error) {
	c := checker{stores: s, recorded: map[string][]int{}, queries: queries, done: make([]*Result, len(queries))}
	for i, q := range queries {
		if q.Records != "" {
			c.recorded[q.Records] = append(c.recorded[q.Records], i)
		}
	}
	results := make([]Result, len(queries))
	for i := range queries {
		r, err := c.check(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("check %s in %s: %w", queries[i].Name, queries[i].File, err)
		}
		results[i] = r
	}
	return results, nil
}

type checker struct {
	stores   *Stores
	queries  []Query
	recorded map[string][]int // the queries that record a metric
	done     []*Result
}

// check gives the verdict on query i.
func (c *checker) check(ctx context.Context, i int) (Result, error) {
	if c.done[i] != nil {
		return *c.done[i], nil
	}
	// A rule that reads what it records is settled by its other inputs.
	c.done[i] = &Result{Query: c.queries[i], Verdict: Pending, Reason: "records what it reads"}
	r, err := c.judge(ctx, c.queries[i])
	c.done[i] = &r
	return r, err
}

func (c *checker) judge(ctx context.Context, q Query) (Result, error) {
	r := Result{Query: q}
	if q.Language == LogQL {
		return c.judgeLogs(ctx, r)
	}
	e, err := parse(q.Expr)
	if err != nil {
		r.Verdict, r.Reason = Bad, err.Error()
		return r, nil
	}
	if isScalar(e) {
		r.Verdict = Data
		return r, nil
	}
	n, err := c.stores.count(ctx, strip(e).String())
	if ctx.Err() != nil {
		return r, err
	}
	if n > 0 {
		r.Verdict = Data
		return r, nil
	}
	// An error here is of the stripped query: its parts tell more.
	finding, derr := c.explain(ctx, e)
	switch {
	case derr != nil:
		return r, derr
	case finding != nil:
		r.Verdict, r.Reason = finding.verdict, finding.reason
	case err != nil:
		r.Verdict, r.Reason = Bad, err.Error()
	default:
		return c.judgeHistory(ctx, r, e)
	}
	return r, nil
}

// judgeHistory is of a query whose parts all have data, or had it.
func (c *checker) judgeHistory(ctx context.Context, r Result, e parser.Expr) (Result, error) {
	n, err := c.stores.ever(ctx, strip(e).String())
	switch {
	case ctx.Err() != nil:
		return r, err
	case err != nil:
		r.Verdict, r.Reason = Bad, err.Error()
	case n > 0:
		r.Verdict = Data
	default:
		r.Verdict, r.Reason = Empty, "every part has data, the whole has none"
	}
	return r, nil
}

func (c *checker) judgeLogs(ctx context.Context, r Result) (Result, error) {
	if c.stores.loki == "" {
		r.Verdict, r.Reason = Untried, "no Loki was named"
		return r, nil
	}
	// A stream selector wants a matcher that matches no empty value.
	some, err := c.stores.logs(ctx, strings.ReplaceAll(r.Expr, anyValue, ".+"))
	switch {
	case ctx.Err() != nil:
		return r, err
	case err != nil:
		r.Verdict, r.Reason = Bad, err.Error()
	case some:
		r.Verdict = Data
	default:
		r.Verdict, r.Reason = Empty, fmt.Sprintf("no lines within %s", c.stores.lookback)
	}
	return r, nil
}

// finding is why an expression has no data.
type finding struct {
	verdict Verdict
	reason  string
}

// explain finds the deepest part of e that explains why it is empty; nil if
// its parts are not to blame.
func (c *checker) explain(ctx context.Context, e parser.Expr) (*finding, error) {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return c.explainSelector(ctx, e)
	case *parser.BinaryExpr:
		return c.explainBinary(ctx, e)
	}
	if isAbsence(e) {
		return nil, nil
	}
	for child := range parser.ChildrenIter(e) {
		if child, ok := child.(parser.Expr); ok {
			if f, err := c.explain(ctx, child); f != nil || err != nil {
				return f, err
			}
		}
	}
	return nil, nil
}

func (c *checker) explainBinary(ctx context.Context, e *parser.BinaryExpr) (*finding, error) {
	left, err := c.explain(ctx, e.LHS)
	if err != nil {
		return nil, err
	}
	right, err := c.explain(ctx, e.RHS)
	if err != nil {
		return nil, err
	}
	switch {
	case e.Op == parser.LUNLESS:
		return left, nil
	case e.Op == parser.LOR:
		if left == nil || right == nil {
			return nil, nil
		}
		return &finding{worse(left.verdict, right.verdict), left.reason + "; " + right.reason}, nil
	case left != nil:
		return left, nil
	case right != nil:
		return right, nil
	case isScalar(e.LHS) || isScalar(e.RHS):
		return nil, nil
	}
	return c.explainJoin(ctx, e)
}

// explainJoin tells of two sides that have data and no partners.
func (c *checker) explainJoin(ctx context.Context, e *parser.BinaryExpr) (*finding, error) {
	joined, err := c.stores.ever(ctx, strip(e).String())
	if joined > 0 {
		return nil, nil
	}
	if err != nil {
		return &finding{Bad, err.Error()}, nil
	}
	for _, side := range []parser.Expr{e.LHS, e.RHS} {
		if n, err := c.stores.ever(ctx, strip(side).String()); err != nil || n == 0 {
			return nil, err
		}
	}
	return &finding{Empty, fmt.Sprintf("%s joins %s, and no series of one has a partner in the other", on(e.VectorMatching), side(e))}, nil
}

func worse(a, b Verdict) Verdict {
	if a == Pending {
		return b
	}
	return a
}

func on(m *parser.VectorMatching) string {
	switch {
	case m == nil || !m.On && len(m.MatchingLabels) == 0:
		return "matching on all labels"
	case m.On:
		return "on (" + strings.Join(m.MatchingLabels, ", ") + ")"
	}
	return "ignoring (" + strings.Join(m.MatchingLabels, ", ") + ")"
}

// side names what an operator joins, briefly.
func side(e *parser.BinaryExpr) string {
	return fmt.Sprintf("%s %s %s", brief(e.LHS), e.Op, brief(e.RHS))
}

func brief(e parser.Expr) string {
	var names []string
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok && !slices.Contains(names, metricName(s)) {
			names = append(names, metricName(s))
		}
		return nil
	})
	return strings.Join(names, "+")
}

func metricName(s *parser.VectorSelector) string {
	for _, m := range s.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return s.String()
}

// explainSelector tells which matcher is the one that leaves nothing.
func (c *checker) explainSelector(ctx context.Context, s *parser.VectorSelector) (*finding, error) {
	n, err := c.stores.exists(ctx, selector(s.LabelMatchers))
	if n > 0 || err != nil {
		return nil, err
	}
	name := slices.IndexFunc(s.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == model.MetricNameLabel })
	if name < 0 {
		return &finding{Empty, "no series match " + selector(s.LabelMatchers)}, nil
	}
	metric := s.LabelMatchers[name]
	if n, err = c.stores.exists(ctx, selector([]*labels.Matcher{metric})); err != nil {
		return nil, err
	} else if n == 0 {
		return c.explainMissing(ctx, metric)
	}
	for i, m := range s.LabelMatchers {
		if i == name {
			continue
		}
		if n, err := c.stores.exists(ctx, selector([]*labels.Matcher{metric, m})); err != nil {
			return nil, err
		} else if n == 0 {
			return &finding{Empty, fmt.Sprintf("%s exists, but none of its series has %s", metric.Value, m)}, nil
		}
	}
	return &finding{Empty, fmt.Sprintf("%s exists, but no series match all of %s", metric.Value, selector(s.LabelMatchers))}, nil
}

// explainMissing follows a metric that is not stored to the rules that record it.
func (c *checker) explainMissing(ctx context.Context, metric *labels.Matcher) (*finding, error) {
	var last *finding
	for _, i := range c.recorded[metric.Value] {
		r, err := c.check(ctx, i)
		if err != nil {
			return nil, err
		}
		if r.Verdict == Data || r.Verdict == Pending {
			return &finding{Pending, fmt.Sprintf("%s is recorded by a rule that was not evaluated yet", metric.Value)}, nil
		}
		last = &finding{Empty, fmt.Sprintf("%s is recorded, but: %s", metric.Value, r.Reason)}
	}
	if last != nil {
		return last, nil
	}
	return &finding{Empty, "no such metric: " + metric.Value}, nil
}

// selector writes matchers as PromQL does.
func selector(matchers []*labels.Matcher) string {
	texts := make([]string, len(matchers))
	for i, m := range matchers {
		texts[i] = m.String()
		if m.Name == model.MetricNameLabel {
			texts[i] = fmt.Sprintf("__name__%s%q", m.Type, m.Value)
		}
	}
	return "{" + strings.Join(texts, ",") + "}"
}

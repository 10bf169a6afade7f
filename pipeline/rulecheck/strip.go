package rulecheck

import (
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

var promql = parser.NewParser(parser.Options{EnableExperimentalFunctions: true})

func isPromQL(expr string) bool {
	_, err := promql.ParseExpr(expr)
	return err == nil
}

// parse returns an expression without the matchers that a variable stands in.
func parse(expr string) (parser.Expr, error) {
	e, err := promql.ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			s.LabelMatchers = slices.DeleteFunc(s.LabelMatchers, func(m *labels.Matcher) bool {
				return strings.Contains(m.Value, anyValue)
			})
		}
		return nil
	})
	return e, nil
}

// strip takes the conditions out of a query: what is left returns data
// whenever the query could.
func strip(e parser.Expr) parser.Expr {
	switch e := e.(type) {
	case *parser.ParenExpr:
		return &parser.ParenExpr{Expr: strip(e.Expr)}
	case *parser.UnaryExpr:
		return strip(e.Expr)
	case *parser.AggregateExpr:
		c := *e
		c.Expr = strip(e.Expr)
		return &c
	case *parser.SubqueryExpr:
		c := *e
		c.Expr = strip(e.Expr)
		return &c
	case *parser.Call:
		c := *e
		c.Args = make(parser.Expressions, len(e.Args))
		for i, a := range e.Args {
			c.Args[i] = strip(a)
		}
		return &c
	case *parser.BinaryExpr:
		return stripBinary(e)
	default:
		return e
	}
}

func stripBinary(e *parser.BinaryExpr) parser.Expr {
	c := *e
	c.LHS, c.RHS = strip(e.LHS), strip(e.RHS)
	switch {
	case e.Op == parser.LUNLESS:
		return c.LHS
	case !e.Op.IsComparisonOperator() || e.ReturnBool:
		return &c
	case isScalar(e.RHS):
		return c.LHS
	case isScalar(e.LHS):
		return c.RHS
	}
	c.ReturnBool = true
	return &c
}

func isScalar(e parser.Expr) bool { return e.Type() == parser.ValueTypeScalar }

// isAbsence tells of absent() and absent_over_time(): they are about what is missing.
func isAbsence(e parser.Expr) bool {
	c, ok := e.(*parser.Call)
	return ok && strings.HasPrefix(c.Func.Name, "absent")
}

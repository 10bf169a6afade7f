package kubestate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The functions here follow kube-state-metrics' pkg/customresourcestate, whose
// answers to odd objects people's dashboards rely on; test/kubestate compares both.

// customPoint is a point before the labels of its family come to it.
type customPoint struct {
	labels map[string]string
	value  float64
}

// customLabels take labels out of an object.
type customLabels struct {
	// stars copy whole objects. A name that ends in * is a prefix of their keys,
	// one that begins with * is none.
	stars []customLabel
	named []customLabel
}

type customLabel struct {
	name string
	path valuePath
}

func parseCustomLabels(paths map[string][]string) (customLabels, error) {
	var l customLabels
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		path, err := parsePath(paths[name])
		if err != nil {
			return l, fmt.Errorf("%s: %w", name, err)
		}
		if strings.HasPrefix(name, "*") || strings.HasSuffix(name, "*") {
			l.stars = append(l.stars, customLabel{name, path})
		} else {
			l.named = append(l.named, customLabel{sanitize(name), path})
		}
	}
	return l, nil
}

// add sets the labels that v has; named ones win over copied ones.
func (l customLabels) add(to map[string]string, v any) {
	for _, star := range l.stars {
		fields, _ := star.path.of(v).(map[string]any)
		for key, field := range fields {
			if prefix, ok := strings.CutSuffix(star.name, "*"); ok {
				key = prefix + key
			}
			to[sanitize(key)] = fmt.Sprint(field)
		}
	}
	for _, label := range l.named {
		if field := label.path.of(v); field != nil {
			to[label.name] = fmt.Sprint(field)
		}
	}
}

// customGauge makes points of numbers.
type customGauge struct {
	labels       customLabels
	valueFrom    valuePath
	nilIsZero    bool
	labelFromKey string
}

var errNothing = errors.New("nothing there")

func (g *customGauge) points(v any) (points []customPoint, err error) {
	switch v := v.(type) {
	case map[string]any:
		return g.ofObject(v)
	case []any:
		var errs []error
		for i, item := range v {
			p, err := g.point(item)
			if err != nil {
				errs = append(errs, fmt.Errorf("item %d: %w", i, err))
			} else if p != nil {
				g.labels.add(p.labels, item)
				points = append(points, *p)
			}
		}
		return points, errors.Join(errs...)
	}
	p, err := g.point(v)
	if err != nil || p == nil {
		return nil, err
	}
	g.labels.add(p.labels, v)
	return []customPoint{*p}, nil
}

// ofObject makes a point of each field, or of the one that valueFrom names.
func (g *customGauge) ofObject(object map[string]any) (points []customPoint, err error) {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(object)) {
		field := object[key]
		var p *customPoint
		if len(g.valueFrom) == 1 && g.valueFrom[0].text == key {
			n, err := g.number(field)
			if err != nil {
				errs = append(errs, fmt.Errorf("field %q: %w", key, err))
				continue
			}
			p = &customPoint{labels: map[string]string{}, value: n}
		} else if p, err = g.point(field); err != nil || p == nil {
			continue // most fields of an object are no numbers
		}
		if g.labelFromKey != "" && key != "" {
			p.labels[g.labelFromKey] = key
		}
		g.labels.add(p.labels, field)
		g.labels.add(p.labels, object)
		points = append(points, *p)
	}
	return points, errors.Join(errs...)
}

// point is the number within v; nil if v has none.
func (g *customGauge) point(v any) (*customPoint, error) {
	found := g.valueFrom.of(v)
	if found == nil && !g.nilIsZero {
		if v == nil {
			return nil, errNothing
		}
		return nil, nil
	}
	n, err := g.number(found)
	if err != nil {
		return nil, err
	}
	return &customPoint{labels: map[string]string{}, value: n}, nil
}

func (g *customGauge) number(v any) (float64, error) {
	if v == nil && g.nilIsZero {
		return 0, nil
	}
	return toNumber(v)
}

// customInfo makes points with labels and no value.
type customInfo struct {
	labels       customLabels
	labelFromKey string
}

func (c *customInfo) points(v any) (points []customPoint, err error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		for _, item := range v {
			if item != nil {
				points = c.point(points, item, "")
			}
		}
		return points, nil
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			points = c.point(points, v[key], key)
		}
	}
	return c.point(points, v, ""), nil
}

// point adds one, unless it has no label.
func (c *customInfo) point(to []customPoint, v any, key string) []customPoint {
	labels := map[string]string{}
	if c.labelFromKey != "" && key != "" {
		labels[c.labelFromKey] = key
	}
	c.labels.add(labels, v)
	if len(labels) == 0 {
		return to
	}
	return append(to, customPoint{labels, 1})
}

// customStates makes a point for each state that there can be.
type customStates struct {
	labels    customLabels
	valueFrom valuePath
	labelName string
	states    []string
}

func (c *customStates) points(v any) (points []customPoint, err error) {
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	var errs []error
	for _, item := range items {
		state, ok := c.valueFrom.of(item).(string)
		if !ok {
			errs = append(errs, fmt.Errorf("%T is not a string", c.valueFrom.of(item)))
			continue
		}
		for _, s := range c.states {
			labels := map[string]string{c.labelName: s}
			c.labels.add(labels, item)
			points = append(points, customPoint{labels, number(s == state)})
		}
	}
	return points, errors.Join(errs...)
}

// toNumber reads what people write where a number is meant: true, yes, a time,
// 250m, 12%.
func toNumber(v any) (float64, error) {
	switch v := v.(type) {
	case bool:
		return number(v), nil
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case string:
		return parseNumber(v)
	}
	return 0, fmt.Errorf("%T is not a number", v)
}

func parseNumber(s string) (float64, error) {
	switch strings.ToLower(s) {
	case "true", "yes":
		return 1, nil
	case "false", "no", "unknown": // a condition's
		return 0, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return float64(t.Unix()), nil
	}
	if q, err := resource.ParseQuantity(s); err == nil {
		return q.AsApproximateFloat64(), nil
	}
	if percent, ok := strings.CutSuffix(s, "%"); ok {
		if n, err := strconv.ParseUint(percent, 10, 64); err == nil {
			return float64(n) / 100, nil
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a number", s)
	}
	return n, nil
}

package kubestate

import (
	"fmt"
	"strconv"
	"strings"
)

// valuePath leads from a decoded JSON value to one within. Its elements are, as in
// kube-state-metrics' configuration of custom resources:
//
//	key          the field of an object
//	2, -1        the item of a list, from its begin or end
//	[key=value]  the first item of a list that is an object with that field
//	key=value    the field of an object, if it has that value
type valuePath []pathElement

type pathElement struct {
	text string
	// lookup makes it a [key=value].
	lookup     bool
	key, value string
	number     float64 // the value, where isNumber
	isNumber   bool
	flag       bool // the value, where isFlag
	isFlag     bool
}

func parsePath(elements []string) (valuePath, error) {
	path := make(valuePath, 0, len(elements))
	for _, text := range elements {
		e := pathElement{text: text}
		if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
			e.lookup = true
			if e.key, e.value, ok = strings.Cut(strings.TrimSuffix(inner, "]"), "="); !ok {
				return nil, fmt.Errorf("%q: want [key=value]", text)
			}
			number, err := toNumber(e.value)
			e.number, e.isNumber = number, err == nil
			e.flag, err = strconv.ParseBool(e.value)
			e.isFlag = err == nil
		} else if strings.Count(text, "=") == 1 {
			e.key, e.value, _ = strings.Cut(text, "=")
		}
		path = append(path, e)
	}
	return path, nil
}

// of is the value that the path leads to, nil if there is none.
func (p valuePath) of(value any) any {
	for i := range p {
		if value == nil {
			return nil
		}
		value = p[i].of(value)
	}
	return value
}

func (e *pathElement) of(value any) any {
	switch v := value.(type) {
	case map[string]any:
		return e.field(v)
	case []any:
		if e.lookup {
			return e.find(v)
		}
		i, err := strconv.Atoi(e.text)
		if i < 0 {
			i += len(v)
		}
		if err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	return nil
}

func (e *pathElement) field(object map[string]any) any {
	if e.lookup {
		return nil
	}
	if e.key != "" {
		if v, ok := object[e.key]; ok && v == e.value {
			return v
		}
	}
	return object[e.text]
}

func (e *pathElement) find(list []any) any {
	for _, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			continue
		}
		if v, ok := object[e.key]; ok && e.matches(v) {
			return object
		}
	}
	return nil
}

func (e *pathElement) matches(v any) bool {
	if v == e.value {
		return true
	}
	if e.isNumber {
		if n, err := toNumber(v); err == nil && n == e.number {
			return true
		}
	}
	b, ok := v.(bool)
	return ok && e.isFlag && b == e.flag
}

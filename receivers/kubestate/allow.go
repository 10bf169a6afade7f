package kubestate

import (
	"fmt"
	"slices"
	"strings"
)

// allowList are the label or annotation keys that become labels, by resource;
// "*" as resource means every resource, "*" as key every key.
type allowList map[string][]string

// of gives the keys that are allowed of a resource.
func (a allowList) of(resource string) keys {
	if all, ok := a[resource]; ok {
		return all
	}
	return a["*"]
}

// allowed are the keys that one kind's objects may show.
type allowed struct{ labels, annotations keys }

// keys are allowed keys of one kind.
type keys []string

// any tells whether the family exists at all.
func (k keys) any() bool { return len(k) > 0 }

// pick gives the names and values of the labels that Prometheus shall see of an
// object's. Names that are one and the same after cleaning get a suffix, as in
// kube-state-metrics.
func (k keys) pick(prefix string, all map[string]string) (names, values []string) {
	var picked []string
	if k[0] == "*" {
		for key := range all {
			picked = append(picked, key)
		}
	} else {
		for _, key := range k {
			if _, ok := all[key]; ok && !slices.Contains(picked, key) {
				picked = append(picked, key)
			}
		}
	}
	return labelsOf(prefix, picked, all)
}

// labelsOf names a label for each key, in the order of keys.
func labelsOf(prefix string, picked []string, all map[string]string) (names, values []string) {
	slices.Sort(picked)
	count := map[string]int{}
	for _, key := range picked {
		count[labelName(prefix, key)]++
	}
	given := map[string]int{}
	for _, key := range picked {
		name := labelName(prefix, key)
		given[name]++
		if count[name] > 1 {
			name = fmt.Sprintf("%s_conflict%d", name, given[name])
		}
		names = append(names, name)
		values = append(values, all[key])
	}
	return names, values
}

// labelName is prefix_key in snake case, with "_" for what a label's name may not have.
func labelName(prefix, key string) string {
	var b strings.Builder
	b.Grow(len(prefix) + 1 + len(key))
	b.WriteString(prefix)
	b.WriteByte('_')
	var before rune
	for _, r := range sanitize(key) {
		if r >= 'A' && r <= 'Z' {
			if before >= 'a' && before <= 'z' || before >= '0' && before <= '9' {
				b.WriteByte('_')
			}
			b.WriteRune(r + 'a' - 'A')
		} else {
			b.WriteRune(r)
		}
		before = r
	}
	return b.String()
}

// sanitize puts "_" for what neither a label's name nor a value such as that of
// the label "resource" has in kube-state-metrics.
func sanitize(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, s)
}

//go:build e2e

package kubestate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// page is what one of the programs tells at one moment.
type page struct {
	series   map[string]float64 // by name and sorted labels, those with values
	families map[string]family  // by name
}

type family struct{ Type, Help string }

func newPage() page { return page{map[string]float64{}, map[string]family{}} }

// key writes a series as Prometheus does. A label without a value is none.
func key(name string, labels map[string]string) string {
	var b strings.Builder
	b.WriteString(name)
	b.WriteByte('{')
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if value := labels[label]; value != "" {
			fmt.Fprintf(&b, "%s=%q,", label, value)
		}
	}
	b.WriteByte('}')
	return b.String()
}

// nameOf is the name in a key.
func nameOf(series string) string {
	name, _, _ := strings.Cut(series, "{")
	return name
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

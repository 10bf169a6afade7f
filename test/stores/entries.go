package stores

import (
	"maps"
	"slices"
	"strings"
)

// sortEntries orders by time; entries of one time keep the order of their streams.
func sortEntries(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Timestamp.Compare(b.Timestamp) })
}

// key tells entries of one timestamp apart.
func (e Entry) key() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e.Labels)) {
		b.WriteString(name)
		b.WriteByte(0)
		b.WriteString(e.Labels[name])
		b.WriteByte(0)
	}
	b.WriteString(e.Line)
	return b.String()
}

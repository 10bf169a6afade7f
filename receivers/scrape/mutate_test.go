package scrape

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// mutateLine applies the rules of a page to one line of want.
func mutateLine(t testing.TB, line string, b bench) string {
	t.Helper()
	end := strings.LastIndexByte(line, '}') + 1
	id, err := parser.NewParser(parser.Options{}).ParseMetric(line[:end])
	if err != nil {
		t.Fatal(err)
	}
	return b.page.rules.mutate(id).WithoutEmpty().String() + line[end:]
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}

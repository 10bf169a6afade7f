package world

import (
	_ "embed"
	"strings"
)

//go:embed vocabulary.txt
var vocabulary string

// Labels are those of every metric that dashboards may read.
func Labels() map[string][]string {
	known := map[string][]string{}
	for line := range strings.Lines(vocabulary) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		metric, names, _ := strings.Cut(line, " ")
		known[metric] = append(strings.Split(names, ","), "cluster", "instance", "job")
	}
	return known
}

package kubelet

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// defaultDrop are cAdvisor's families that no dashboard, rule or alert of
// kubernetes-mixin, kube-prometheus or kube-prometheus-stack reads: what
// kube-prometheus drops, and the inner counters of block devices. (What
// kube-prometheus-stack drops beyond that is read by somebody:
// container_memory_swap by its own rules.)
var defaultDrop = []string{
	"container_cpu_load_average_10s",
	"container_cpu_load_d_average_10s",
	"container_fs_io_*",
	"container_fs_reads_merged_total",
	"container_fs_sector_*",
	"container_fs_writes_merged_total",
	"container_network_advance_tcp_stats_total",
	"container_network_tcp*_usage_total",
	"container_network_udp*_usage_total",
	"container_tasks_state",
}

// filter decides by its name whether a series goes on. It is not safe for
// concurrent use.
type filter struct {
	keep, drop []string // patterns of path.Match; no keep keeps all

	// last is the name decided last: the next line mostly has the same.
	last    []byte
	dropped bool
	// decided holds the decisions for names seen; bounded, for a page may
	// have ever new names.
	decided map[string]bool
}

const maxDecided = 16 << 10

// newFilter gives nil if nothing is to be filtered.
func newFilter(keep, drop []string) *filter {
	if len(keep)+len(drop) == 0 {
		return nil
	}
	return &filter{keep: keep, drop: drop, decided: map[string]bool{}}
}

// drops says whether the series of a name is to be left out. One without a
// name is not: what it is, is for the parser to say.
func (f *filter) drops(name []byte) bool {
	if f == nil || len(name) == 0 {
		return false
	}
	if bytes.Equal(name, f.last) {
		return f.dropped
	}
	dropped, known := f.decided[string(name)]
	if !known {
		dropped = f.decide(string(name))
		if len(f.decided) >= maxDecided {
			clear(f.decided)
		}
		f.decided[string(name)] = dropped
	}
	f.last, f.dropped = append(f.last[:0], name...), dropped
	return dropped
}

func (f *filter) decide(name string) bool {
	return len(f.keep) > 0 && !matches(f.keep, name) || matches(f.drop, name)
}

// matches says whether a pattern stands for the name, or for the histogram or
// summary of which it is a part.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			base, has := strings.CutSuffix(name, suffix)
			if ok, _ := path.Match(pattern, base); has && ok {
				return true
			}
		}
		return false
	})
}

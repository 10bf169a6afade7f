package kubestate

import (
	"os"
	"sync/atomic"
	"time"
)

// selfReport writes what Prometheus would tell of a scrape of
// kube-state-metrics and that program of itself; its own alerts read it.
// Only one process of a cluster may: the series name nobody.
type selfReport struct {
	kind   *kind
	counts []*selfCounts
	writer writer
}

// selfCounts are of one kind.
type selfCounts struct {
	goType      string
	list, watch outcomes
}

// outcomes counts what went well and what did not.
type outcomes struct{ success, failure atomic.Uint64 }

func (o *outcomes) count(err error) {
	if err != nil {
		o.failure.Add(1)
		return
	}
	o.success.Add(1)
}

// The families of a selfReport, by their place in its kind.
const (
	selfUp = iota
	selfDuration
	selfSamples
	selfShards
	selfOrdinal
	selfList
	selfWatch
)

func newSelfReport(counts []*selfCounts) *selfReport {
	return &selfReport{counts: counts, kind: &kind{families: []description{
		selfUp:       {name: "up", help: "1 if the target could be scraped, 0 if not."},
		selfDuration: {name: "scrape_duration_seconds", help: "Duration of the scrape."},
		selfSamples:  {name: "scrape_samples_scraped", help: "Number of samples that the target had."},
		selfShards:   {name: "kube_state_metrics_total_shards", help: "Number of total shards this instance is aware of"},
		selfOrdinal: {name: "kube_state_metrics_shard_ordinal", help: "Current sharding ordinal/index of this instance",
			labels: []string{"shard_ordinal"}},
		selfList: {name: "kube_state_metrics_list_total", help: "Number of total resource list in kube-state-metrics",
			typ: counter, labels: []string{"resource", "result"}},
		selfWatch: {name: "kube_state_metrics_watch_total", help: "Number of total resource watch in kube-state-metrics",
			typ: counter, labels: []string{"resource", "result"}},
	}}}
}

// write adds the report to a batch.
func (s *selfReport) write(b *batch, took time.Duration, samples int) {
	w := &s.writer
	w.begin(s.kind, nil)
	put := func(family int, value float64, labels ...string) {
		w.family = family
		w.put(value, labels...)
	}
	put(selfUp, 1)
	put(selfDuration, took.Seconds())
	put(selfSamples, float64(samples))
	put(selfShards, 1)
	put(selfOrdinal, 0, "0")
	for _, c := range s.counts {
		put(selfList, float64(c.list.success.Load()), c.goType, "success")
		put(selfList, float64(c.list.failure.Load()), c.goType, "error")
		put(selfWatch, float64(c.watch.success.Load()), c.goType, "success")
		put(selfWatch, float64(c.watch.failure.Load()), c.goType, "error")
	}
	b.entry(s.kind, &entry{current: state(w.packer.buf)})
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "" // then all are in phase; no harm
	}
	return name
}

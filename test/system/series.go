package system

import (
	"context"
	"fmt"
	"time"
)

// cpuSeries is what every dashboard of container CPU selects.
const cpuSeries = `container_cpu_usage_seconds_total{job="kubelet", metrics_path="/metrics/cadvisor", cluster="` + Cluster +
	`", namespace!="", pod!="", container!=""}`

// SeriesReport compares running containers with their CPU series in Prometheus.
type SeriesReport struct {
	Expected, Found int
	Missing         []string // namespace/pod/container
}

// Complete tells whether every container has its series.
func (r SeriesReport) Complete() bool { return len(r.Missing) == 0 && r.Expected > 0 }

// Series asks Prometheus for the series of every container since the start.
func (s *System) Series(ctx context.Context) (SeriesReport, error) {
	samples, err := s.Prometheus.Query(ctx, `count by (namespace, pod, container) (last_over_time(`+cpuSeries+`[1h]))`)
	if err != nil {
		return SeriesReport{}, err
	}
	found := map[string]bool{}
	for _, sample := range samples {
		found[fmt.Sprintf("%s/%s/%s", sample.Labels["namespace"], sample.Labels["pod"], sample.Labels["container"])] = true
	}
	var r SeriesReport
	for _, c := range s.Node.Running() {
		r.Expected++
		name := fmt.Sprintf("%s/%s/%s", c.Pod.Namespace, c.Pod.Name, c.Name)
		if found[name] {
			r.Found++
		} else {
			r.Missing = append(r.Missing, name)
		}
	}
	return r, nil
}

// ActiveSeries is how many series of the node Prometheus has now, and the time
// of their newest sample.
func (s *System) ActiveSeries(ctx context.Context) (n int, newest time.Time, err error) {
	selector := `{job="kubelet", cluster="` + Cluster + `"}`
	count, err := s.Prometheus.Query(ctx, `count(`+selector+`)`)
	if err != nil || len(count) == 0 {
		return 0, newest, err
	}
	// The kubelet's own page has no timestamps: the time is that of the scrape.
	at, err := s.Prometheus.Query(ctx, `max(timestamp(kubelet_node_name{metrics_path="/metrics", cluster="`+Cluster+`"}))`)
	if err == nil && len(at) > 0 {
		newest = time.UnixMilli(int64(at[0].Value * 1e3))
	}
	return int(count[0].Value), newest, err
}

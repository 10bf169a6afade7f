package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// World is the made cluster: a handler that serves a page of its series.
type World struct {
	series []madeSeries
	pages  atomic.Int64              // served so far: counters grow with it
	first  atomic.Pointer[time.Time] // when the first was served
	now    time.Time
}

type madeSeries struct {
	metric string
	labels map[string]string
}

// named are the labels' values, unless a selector asks for others.
var named = map[string]string{
	"namespace": "shop", "pod": "web-0", "uid": "u-web-0", "container": "web", "image": "shop/web:1", "node": "node-1", "workload": "web", "workload_type": "deployment",
	"deployment": "web", "statefulset": "web", "daemonset": "web", "replicaset": "web-1", "job_name": "web", "cronjob": "web", "owner_kind": "Deployment", "owner_name": "web",
	"service": "web", "service_name": "web", "endpointslice": "other-abcde", "ingress": "web", "persistentvolumeclaim": "data", "persistentvolume": "pv-1",
	"horizontalpodautoscaler": "web", "poddisruptionbudget": "web", "volumeattachment": "va-1", "priority_class": "high", "device": "sda", "fstype": "ext4", "mountpoint": "/",
	"condition": "MemoryPressure", "status": "true", "phase": "Running", "reason": "Error", "code": "500", "verb": "GET", "exit_code": "1", "result": "failed",
	"resource": "cpu", "type": "used", "mode": "user", "instance": "node-1", "job": "kube-state-metrics", "span_kind": "SPAN_KIND_SERVER", "span_name": "GET /",
	"status_code": "STATUS_CODE_UNSET", "component": "loki", "severity": "warning", "alertstate": "firing", "le": "+Inf", "ready": "true", "lease": "kube-scheduler",
}

// absent are labels that series have only if a selector asks for them.
var absent = []string{"subresource", "device_error", "cluster"}

// New makes the series that PromQL expressions read.
func New(expressions []string) (*World, error) {
	w := &World{now: time.Now()}
	known := Labels()
	for _, text := range expressions {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			return nil, fmt.Errorf("parse %q: %w", text, err)
		}
		var errs []error
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				errs = append(errs, w.add(selector, known))
			}
			return nil
		})
		if err := errors.Join(errs...); err != nil {
			return nil, fmt.Errorf("make series for %q: %w", text, err)
		}
	}
	return w, nil
}

// enoughPages make rates of counters, and changes of what changes.
const enoughPages = 5

// Seen waits until the page was fetched often enough for rates and changes.
func (w *World) Seen(ctx context.Context) error {
	for w.pages.Load() <= enoughPages {
		select {
		case <-ctx.Done():
			return fmt.Errorf("page was fetched %d times: %w", w.pages.Load(), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// Moments are times at which queries find the series, once they were Seen. A
// subquery has its first step at a whole minute, and what compares with an
// interval ago needs something there: the second is a minute after the first page.
func (w *World) Moments() []time.Time {
	return []time.Time{time.Now(), w.first.Load().Add(62 * time.Second)}
}

func (w *World) add(selector *parser.VectorSelector, known map[string][]string) error {
	metrics := selector.Name
	for _, matcher := range selector.LabelMatchers {
		if matcher.Name == model.MetricNameLabel {
			metrics = matcher.Value
		}
	}
	for metric := range strings.SplitSeq(metrics, "|") {
		made := map[string]string{}
		for _, name := range known[metric] {
			if !slices.Contains(absent, name) && name != "" {
				made[name] = value(name)
			}
		}
		for _, matcher := range selector.LabelMatchers {
			if matcher.Name == model.MetricNameLabel || matcher.Matches(made[matcher.Name]) {
				continue
			}
			fits, err := fitting(matcher)
			if err != nil {
				return err
			}
			made[matcher.Name] = fits
		}
		if made["type"] == "ExternalName" {
			made["service"] = "elsewhere"
		}
		w.addForPods(madeSeries{metric, made})
	}
	return nil
}

func value(label string) string {
	if v, ok := named[label]; ok {
		return v
	}
	return label
}

// fitting is a value that the matcher takes.
func fitting(matcher *labels.Matcher) (string, error) {
	candidates := append(strings.Split(matcher.Value, "|"), "false", "other", "")
	for _, candidate := range candidates {
		if matcher.Matches(candidate) {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("no value for %s", matcher)
}

// addForPods gives every pod the series; but a container ended last for one
// reason only, so each reason has a pod of its own.
func (w *World) addForPods(s madeSeries) {
	pods := []string{"web-0", "web-1"}
	if s.metric == "kube_pod_container_status_last_terminated_reason" {
		pods = pods[:1]
		if s.labels["reason"] == "OOMKilled" {
			pods = []string{"web-1"}
		}
	}
	for _, pod := range pods {
		made := maps.Clone(s.labels)
		if _, has := made["pod"]; has {
			made["pod"] = pod
		}
		if _, has := made["uid"]; has {
			made["uid"] = "u-" + pod
		}
		for _, le := range bounds(s.metric) {
			if le != "" {
				made["le"] = le
			}
			same := func(other madeSeries) bool { return other.metric == s.metric && maps.Equal(other.labels, made) }
			if !slices.ContainsFunc(w.series, same) {
				w.series = append(w.series, madeSeries{s.metric, maps.Clone(made)})
			}
		}
	}
}

func bounds(metric string) []string {
	if strings.HasSuffix(metric, "_bucket") {
		return []string{"0.1", "10", "1000", "+Inf"}
	}
	return []string{""}
}

var (
	grows = regexp.MustCompile(`_total$|_bucket$|_sum$|_count$|^node_vmstat_|Segs$|^kubelet_evictions$|_observed_generation$|_spec_replicas$|_desired_replicas$|^kubelet_volume_stats_used_bytes$`)
	times = regexp.MustCompile(`^kube_.*_(created|time|timestamp)$|^node_boot_time_seconds$`)
)

// levels are values other than 1.
var levels = map[string]float64{
	"kube_deployment_status_replicas_available": 0, "kube_statefulset_status_replicas_ready": 0, "kube_statefulset_replicas": 3,
	"kube_daemonset_status_number_available": 0, "kube_volumeattachment_status_attached": 0,
	"kube_pod_container_resource_requests": 1e6, "kube_pod_container_resource_limits": 1e6,
	"node_memory_MemTotal_bytes": 100, "node_filesystem_size_bytes": 10, "node_filesystem_files": 10,
	"kubelet_volume_stats_capacity_bytes": 1e9,
}

// ServeHTTP gives the page as it is now.
func (w *World) ServeHTTP(answer http.ResponseWriter, _ *http.Request) {
	n := w.pages.Add(1)
	if now := time.Now(); n == 1 {
		w.first.Store(&now)
	}
	answer.Header().Set("Content-Type", "text/plain; version=0.0.4")
	for _, s := range w.series {
		var pairs []string
		for name, text := range s.labels {
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, text))
		}
		fmt.Fprintf(answer, "%s{%s} %v\n", s.metric, strings.Join(pairs, ","), w.level(s, n))
	}
}

func (w *World) level(s madeSeries, n int64) float64 {
	switch level, ok := levels[s.metric]; {
	case ok:
		return level
	case times.MatchString(s.metric):
		return float64(w.now.Add(-time.Minute).Unix())
	case grows.MatchString(s.metric):
		bound := slices.Index(bounds(s.metric), s.labels["le"])
		return float64(n * int64(max(bound, 0)+1))
	}
	return 1
}

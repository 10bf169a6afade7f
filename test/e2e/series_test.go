//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// cadvisor selects series of containers as every dashboard does.
const cadvisor = `job="kubelet", metrics_path="/metrics/cadvisor", cluster="` + clusterName + `"`

// perContainer are families that each running container has a series of.
var perContainer = []string{
	"container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_memory_rss", "container_start_time_seconds",
}

// checkSeries waits until every container that runs on a node, whoever's it is,
// has its series under the names that dashboards select.
func (in *installation) checkSeries(t *testing.T) {
	in.checkUp(t, 1)
	for _, family := range perContainer {
		eventually(t, family+" of every container", func(ctx context.Context) error {
			pods, err := in.pods(ctx, "", "")
			if err != nil {
				return err
			}
			series, err := in.prometheus.Query(ctx, family+`{`+cadvisor+`, container!=""}`)
			if err != nil {
				return err
			}
			return lackOfContainers(pods, series)
		})
	}
	eventually(t, "network series of every pod", func(ctx context.Context) error {
		pods, err := in.pods(ctx, "", "")
		if err != nil {
			return err
		}
		series, err := in.prometheus.Query(ctx, `container_network_receive_bytes_total{`+cadvisor+`, pod!=""}`)
		if err != nil {
			return err
		}
		return lackOfPods(pods, series)
	})
}

// checkUp waits until each endpoint of each kubelet is up, or is not.
func (in *installation) checkUp(t *testing.T, want float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("up of %g", want), func(ctx context.Context) error {
		series, err := in.prometheus.Query(ctx, `up{job="kubelet", cluster="`+clusterName+`"}`)
		if err != nil {
			return err
		}
		up := map[string]float64{}
		for _, s := range series {
			up[s.Labels["node"]+s.Labels["metrics_path"]] = s.Value
		}
		var errs []error
		for _, node := range in.nodes {
			for _, path := range []string{"/metrics", "/metrics/cadvisor", "/metrics/resource", "/metrics/probes"} {
				endpoint := node + path
				if value, ok := up[endpoint]; !ok || value != want {
					errs = append(errs, fmt.Errorf("up of %s is %g (there: %t)", endpoint, value, ok))
				}
			}
		}
		return errors.Join(errs...)
	})
}

// lackOfContainers compares by the container's id, so that a series of an
// earlier run does not do.
func lackOfContainers(pods []corev1.Pod, series []stores.Sample) error {
	byID := map[string]stores.Sample{}
	for _, s := range series {
		byID[s.Labels["name"]] = s
	}
	var errs []error
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Running == nil {
				continue
			}
			_, id, _ := strings.Cut(c.ContainerID, "://")
			s, ok := byID[id]
			if !ok {
				// One that crashes right away may never be seen by cAdvisor.
				if w, known := workloadOf(p.Name); known && (w.name == "crashing" || w.name == "hungry" || w.name == "report") {
					continue
				}
				errs = append(errs, fmt.Errorf("none of %s/%s/%s, %s", p.Namespace, p.Name, c.Name, id))
				continue
			}
			for label, want := range map[string]string{
				"namespace": p.Namespace, "pod": p.Name, "container": c.Name, "node": p.Spec.NodeName, "image": c.Image,
				"instance": p.Status.HostIP + ":10250",
			} {
				if got := s.Labels[label]; got != want {
					errs = append(errs, fmt.Errorf("%s of %s/%s is %q, want %q", label, p.Name, c.Name, got, want))
				}
			}
		}
	}
	return errors.Join(errs...)
}

func lackOfPods(pods []corev1.Pod, series []stores.Sample) error {
	there := map[string]bool{}
	for _, s := range series {
		there[s.Labels["namespace"]+"/"+s.Labels["pod"]+" on "+s.Labels["node"]] = true
	}
	var errs []error
	for _, p := range pods {
		name := p.Namespace + "/" + p.Name + " on " + p.Spec.NodeName
		if ready(p) && !p.Spec.HostNetwork && !there[name] {
			errs = append(errs, errors.New("none of "+name))
		}
	}
	return errors.Join(errs...)
}

// newSeries is an error unless Prometheus has a sample of a container that was
// scraped after a time.
func (in *installation) newSeries(ctx context.Context, after time.Time) error {
	expr := `container_cpu_usage_seconds_total{` + cadvisor + `}`
	if !after.IsZero() {
		expr = fmt.Sprintf(`timestamp(up{%s}) > %f`, cadvisor, float64(after.UnixMilli())/1e3)
	}
	samples, err := in.prometheus.Query(ctx, expr)
	if err == nil && len(samples) == 0 {
		err = errors.New("no series")
	}
	return err
}

// newPage is an error unless all that was on pages within a minute has been on
// one since a time.
func (in *installation) newPage(ctx context.Context, after time.Time) error {
	const sources = `up{job!~"pages|crowsnest-.*"}`
	samples, err := in.scraper.Query(ctx, fmt.Sprintf(`count(last_over_time(%s[1m])) - count(timestamp(%s) > %f)`,
		sources, sources, float64(max(0, after.UnixMilli()))/1e3))
	if err == nil && (len(samples) == 0 || samples[0].Value != 0) {
		err = fmt.Errorf("sources without page: %v", samples)
	}
	return err
}

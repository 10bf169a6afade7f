//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// Intervals of testdata/values.yaml.
const (
	interval       = 10 * time.Second // of what agents gather
	stateInterval  = 30 * time.Second // of what the leader does
	scrapeInterval = 5 * time.Second  // of the pages
)

// slack is for the way from source to store, on a busy machine.
const slack = 5 * time.Second

// stretch is a set of series that nothing may interrupt.
type stretch struct {
	selector string
	interval time.Duration
}

// stretches are of what lives through all disturbances: postgres and CoreDNS are
// left alone.
func (in *installation) stretches() []stretch {
	return []stretch{
		// Their times are cAdvisor's, which looks when it finds the time to.
		{`{job="kubelet",metrics_path="/metrics/cadvisor",pod="postgres-0"}`, stateInterval},
		{`{job="kubelet",metrics_path="/metrics/resource",pod="postgres-0"}`, stateInterval},
		{`{job="kubelet",metrics_path="/metrics/probes",pod=~"coredns-.*"}`, interval},
		{`{job="kubelet",metrics_path="/metrics",__name__=~"kubelet_running_.*|process_.*|kubelet_volume_stats_.*|kubelet_pleg_.*"}`, interval},
		{`{job="kube-state-metrics",__name__=~"kube_.*",pod="postgres-0"}`, interval},
		{`{job="node-exporter",__name__=~"node_(load|memory|netstat|vmstat|filefd|time|intr|context).*"}`, interval},
		{`{job="coredns",__name__=~"(coredns|process|go)_.*"}`, interval},
		{`{job="kube-scheduler",__name__=~"(process|go|scheduler_pod)_.*"}`, interval},
		{`up{job!~"crowsnest-.*|apiserver|kube-state-metrics|pages"}`, interval},
		{`up{job=~"apiserver|kube-state-metrics"}`, stateInterval},
		{`{job="apiserver",__name__=~"(process|go)_.*"}`, stateInterval},
		{`{job="kube-state-metrics",__name__=~"kube_(node_status_capacity|deployment_spec_replicas|statefulset_.*|namespace_created|configmap_info|service_info|persistentvolume_capacity_bytes)",namespace!="default"}`, stateInterval},
	}
}

// origin are the labels that say where a series comes from, not what it is: two
// that differ by these alone are one that is there twice.
var origin = []string{"node", "cluster", "id", "uid", "endpoint", "service", "container_id", "image_id"}

// checkContinuity looks back: no series may be away for more than two intervals,
// be there twice, or go back.
func (in *installation) checkContinuity(t *testing.T) {
	until := time.Now()
	pages, err := pageTimes(t.Context(), in.scraper, in.steady, until)
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range []struct {
		name string
		*stores.Prometheus
		pages []time.Time
	}{{"written to", in.prometheus, nil}, {"scraping", in.scraper, pages}} {
		t.Run(store.name, func(t *testing.T) {
			series := 0
			for _, s := range in.stretches() {
				n, longest, err := s.check(t.Context(), store.Prometheus, store.pages, in.steady, until)
				if err != nil {
					t.Errorf("%s: %v", s.selector, err)
				}
				t.Logf("%d series of %s every %s: %s", n, s.selector, s.interval, longest)
				series += n
			}
			t.Logf("%d series over %s", series, until.Sub(in.steady).Round(time.Second))
		})
	}
}

// check returns how many series there are, and their longest gap.
func (s stretch) check(ctx context.Context, store *stores.Prometheus, pages []time.Time, from, to time.Time) (int, gap, error) {
	window := fmt.Sprintf("%s[%ds] @ %d", s.selector, int(to.Sub(from).Seconds()), to.Unix())
	raw, err := rawSamples(ctx, store, window)
	if err != nil {
		return 0, gap{}, err
	}
	if len(raw) == 0 {
		return 0, gap{}, errors.New("no such series")
	}
	limit := 2*s.interval + slack
	var errs []error
	var longest gap
	for _, r := range raw {
		g := r.longestGap(to)
		if g.length > longest.length {
			longest = g
		}
		errs = append(errs, g.check(r, limit, pages), r.decreases())
	}
	// Every second: what a stale marker makes is a hole, even if samples are dense.
	shown, err := steps(ctx, store, s.selector, from, to, time.Second)
	if err != nil {
		return 0, longest, err
	}
	for _, r := range shown {
		errs = append(errs, r.longestGap(to).check(r, limit, pages))
	}
	return len(raw), longest, joined(append(errs, twice(shown)...))
}

// twice tells of series that are shown at a time when another is that differs
// by its origin alone.
func twice(shown []run) (errs []error) {
	type moment struct {
		series string
		at     int64
	}
	there := map[moment]map[string]string{}
	for _, r := range shown {
		own := maps.Clone(r.labels)
		for _, label := range origin {
			delete(own, label)
		}
		if own["metrics_path"] == "/metrics/cadvisor" && own["container"] != "" {
			delete(own, "name") // the container's id
		}
		series := fmt.Sprint(own) // sorted
		for _, p := range r.points {
			m := moment{series, p.at.UnixMilli()}
			if other, ok := there[m]; ok {
				errs = append(errs, fmt.Errorf("%v is there beside %v at %s", r.labels, other, p.at.Format(time.TimeOnly)))
				break
			}
			there[m] = r.labels
		}
	}
	return errs
}

// gap is a time without samples.
type gap struct {
	from   time.Time
	length time.Duration
}

func (g gap) String() string {
	return fmt.Sprintf("nothing from %s for %s", g.from.Format(time.TimeOnly), g.length.Round(100*time.Millisecond))
}

func (g gap) check(r run, limit time.Duration, pages []time.Time) error {
	if g.length > limit+g.withoutPages(pages) {
		return fmt.Errorf("%v has %v", r.labels, g)
	}
	return nil
}

// withoutPages is how long Prometheus found no page of any aggregator in a gap,
// beyond its interval.
func (g gap) withoutPages(pages []time.Time) (longest time.Duration) {
	for i := 1; i < len(pages); i++ {
		if pages[i].After(g.from) && pages[i-1].Before(g.from.Add(g.length)) {
			longest = max(longest, pages[i].Sub(pages[i-1])-scrapeInterval)
		}
	}
	return longest
}

// pageTimes are those at which the page of an aggregator was scraped.
func pageTimes(ctx context.Context, store *stores.Prometheus, from, to time.Time) ([]time.Time, error) {
	raw, err := rawSamples(ctx, store, fmt.Sprintf(`up{job="pages"}[%ds] @ %d`, int(to.Sub(from).Seconds()), to.Unix()))
	if err != nil {
		return nil, err
	}
	var times []time.Time
	for _, r := range raw {
		for _, p := range r.points {
			if p.value == 1 {
				times = append(times, p.at)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times, nil
}

// longestGap is the longest between two samples, or at the end. A series may
// begin when something happens for the first time.
func (r run) longestGap(to time.Time) (longest gap) {
	last := r.points[0].at
	for _, p := range append(r.points, point{at: to}) {
		if length := p.at.Sub(last); length > longest.length {
			longest = gap{last, length}
		}
		last = p.at
	}
	return longest
}

// decreases is an error if a counter goes back.
func (r run) decreases() error {
	name := r.labels["__name__"]
	if !strings.HasSuffix(name, "_total") && !strings.HasSuffix(name, "_count") && !strings.HasSuffix(name, "_bucket") {
		return nil
	}
	for i := 1; i < len(r.points); i++ {
		if was, is := r.points[i-1], r.points[i]; is.value < was.value {
			return fmt.Errorf("%v goes back from %v to %v at %s", r.labels, was.value, is.value, is.at.Format(time.TimeOnly))
		}
	}
	return nil
}

// checkEnd deletes a pod and wants its series to end within two intervals, in
// both stores.
func (in *installation) checkEnd(t *testing.T) {
	in.deleteWorkload(t)
	pod := in.gone[len(in.gone)-1].Name
	// What tells of ends outlives what it tells of; rules are evaluated in their
	// own time.
	selector := `{pod="` + pod + `",__name__!~"container_(terminations|oom_kills)_total|.*:.*|ALERTS.*"}`
	left := time.Now()
	eventually(t, "page of the kubelet without "+pod, func(ctx context.Context) error {
		for _, path := range []string{"/metrics/cadvisor", "/metrics/resource", "/metrics/probes"} {
			page, err := in.sourcePage(ctx, "kubelet", path)
			if err != nil {
				return err
			}
			if strings.Contains(page, `pod="`+pod+`"`) {
				left = time.Now()
				return errors.New("it is on " + path)
			}
		}
		return nil
	})
	for _, store := range []struct {
		name string
		*stores.Prometheus
	}{{"written to", in.prometheus}, {"scraping", in.scraper}} {
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			last := "none"
			eventually(t, "end of all series of "+pod, func(ctx context.Context) error {
				found, err := store.Query(ctx, selector)
				if err == nil && len(found) > 0 {
					last = fmt.Sprint(found[0].Labels)
					err = fmt.Errorf("%d series, such as %s", len(found), last)
				}
				return err
			})
			took := time.Since(left)
			t.Logf("its series ended after %s, the last one was %s", took.Round(100*time.Millisecond), last)
			if took > 2*interval+slack {
				t.Errorf("series of %s ended %s after it was gone, want two intervals (%s)", pod, took, 2*interval)
			}
		})
	}
}

// failOver takes the leader away, as if its machine had failed.
func (in *installation) failOver(t *testing.T) {
	leader := func() string {
		return in.kubectl(t, "--namespace", namespace, "get", "lease", release+"-aggregator", "--output=jsonpath={.spec.holderIdentity}")
	}
	old := leader()
	in.kubectl(t, "--namespace", namespace, "delete", "pod", old, "--force", "--grace-period=0")
	begin := time.Now()
	eventually(t, "leader but "+old, func(context.Context) error {
		if now := leader(); now == old || now == "" {
			return fmt.Errorf("it is %q", now)
		}
		return nil
	})
	t.Logf("another leads after %s", since(begin))
	in.awaitReady(t)
	in.awaitData(t, time.Now())
}

// checkResets restarts a container: its counters begin anew, and no rate over
// that is negative or counts what was before once more.
func (in *installation) checkResets(t *testing.T) {
	selector := fmt.Sprintf(`crowsnest_received_items_total{job="crowsnest-agent",instance=%q,signal="metrics"}`, in.nodes[0])
	var total float64
	eventually(t, "count of items", func(ctx context.Context) error {
		found, err := in.prometheus.Query(ctx, "sum("+selector+")")
		if err == nil && len(found) != 1 {
			err = errors.New("none")
		}
		if err == nil {
			total = found[0].Value
		}
		return err
	})
	begin := time.Now().Add(-time.Minute)
	in.kill(t, "agent")
	eventually(t, "reset of a counter", func(ctx context.Context) error {
		window := fmt.Sprintf("[%ds]", int(time.Since(begin).Seconds()))
		found, err := in.prometheus.Query(ctx, "sum(resets("+selector+window+"))")
		if err == nil && (len(found) != 1 || found[0].Value < 1) {
			err = fmt.Errorf("%d series, no reset", len(found))
		}
		return err
	})
	growth, err := steps(t.Context(), in.prometheus, "sum(increase("+selector+"[1m]))", begin, time.Now(), time.Second)
	if err != nil || len(growth) == 0 {
		t.Fatalf("no increase (%v)", err)
	}
	for _, p := range growth[0].points {
		if p.value < 0 || p.value > total+1e6 {
			t.Errorf("items grow by %g in the minute before %s", p.value, p.at.Format(time.TimeOnly))
		}
	}
}

// checkRestart kills a container: cAdvisor's series of the one that ended are to
// end, and not to stay beside those of the next.
func (in *installation) checkRestart(t *testing.T) {
	pods, err := in.pods(t.Context(), shop, "app.kubernetes.io/name=bare")
	if err != nil || len(pods) != 1 {
		t.Fatalf("pods: %v (%v)", pods, err)
	}
	in.killContainer(t, pods[0])
	begin := time.Now()
	for _, store := range []*stores.Prometheus{in.prometheus, in.scraper} {
		eventually(t, "series of the one that runs alone", func(ctx context.Context) error {
			found, err := store.Query(ctx, `container_cpu_usage_seconds_total{`+cadvisor+`,pod="bare",container="bare"}`)
			if err != nil || len(found) != 1 {
				return errors.Join(err, fmt.Errorf("%d series", len(found)))
			}
			now, err := in.pods(ctx, shop, "app.kubernetes.io/name=bare")
			if err != nil || len(now) != 1 {
				return errors.Join(err, fmt.Errorf("%d pods", len(now)))
			}
			if id := now[0].Status.ContainerStatuses[0].ContainerID; !strings.HasSuffix(id, found[0].Labels["name"]) {
				return fmt.Errorf("series of %s, not of %s", found[0].Labels["name"], id)
			}
			return nil
		})
	}
	t.Logf("one series of the container that runs after %s", since(begin))
}

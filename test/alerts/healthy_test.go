//go:build e2e

package alerts

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// alert is one of Prometheus' API.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	ActiveAt    time.Time         `json:"activeAt"`
	Value       string            `json:"value"`
}

// alerts are those of Prometheus and, unless it was stopped, of Loki's ruler.
func (in *installation) alerts(ctx context.Context) ([]alert, error) {
	type list struct {
		Data struct {
			Alerts []alert `json:"alerts"`
		} `json:"data"`
	}
	var metrics, logs list
	err := in.prometheus.Get(ctx, "/api/v1/alerts", nil, &metrics)
	if err == nil && !in.lokiStopped {
		err = in.loki.Get(ctx, "/prometheus/api/v1/alerts", nil, &logs)
	}
	return append(metrics.Data.Alerts, logs.Data.Alerts...), err
}

// String names the alert and its object.
func (a alert) String() string {
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		if name != "alertname" && name != "cluster" {
			labels = append(labels, name+"="+a.Labels[name])
		}
	}
	return a.Labels["alertname"] + "{" + strings.Join(labels, " ") + "}"
}

// tells is whether the alert tells of something that is wrong: Watchdog and the
// like fire always, or for other alerts' sake.
func (a alert) tells() bool { return a.Labels["severity"] != "none" }

// settling is how long an alert may pend: pods that start are not ready yet, and
// rates of the first minute are high.
const settling = 3 * time.Minute

// checkHealthy watches all alerts for some time. None may fire, and none may have
// pended for so long that it would fire on a cluster that lives longer, unless it
// is about the machine and the machine's kernel says the same at that time.
func (in *installation) checkHealthy(t *testing.T, span time.Duration) {
	begin := time.Now()
	told := map[string]bool{}
	tell := func(a alert, is string, log func(string, ...any), why string) {
		if what := a.String() + " " + is; !told[what] {
			told[what] = true
			log("after %s: %s, value %s: %s; %s", time.Since(begin).Round(time.Second), what, a.Value, a.Annotations["description"], why)
		}
	}
	seen, watchdog := 0, time.Time{}
	for time.Since(begin) < span {
		time.Sleep(5 * time.Second)
		var all []alert
		eventually(t, "answer on alerts", func(ctx context.Context) (err error) {
			all, err = in.alerts(ctx)
			return err
		})
		seen++
		for _, a := range all {
			if a.Labels["alertname"] == "Watchdog" && a.State == "firing" {
				watchdog = time.Now()
			}
			pended := time.Since(a.ActiveAt)
			why, right := kernel.confirms(a, in.start)
			switch {
			case !a.tells():
			case a.State == "pending" && pended < settling:
				tell(a, "pends", t.Logf, "it may for "+settling.String())
			case right:
				tell(a, a.State+", rightly", t.Logf, why)
			case a.State == "pending":
				tell(a, "is about to fire", t.Errorf, why)
			default:
				tell(a, "fires", t.Errorf, why)
			}
		}
	}
	// A rule's interval is a minute at most, and an answer may take as long.
	if silent := time.Since(watchdog); silent > 2*time.Minute {
		t.Errorf("Watchdog fired last %s ago: no rule is evaluated", silent)
	}
	if longest := kernel.gap(begin); longest > lag/2 {
		t.Errorf("the machine was not looked at for %s: nothing can be said of alerts on it", longest)
	}
	t.Logf("looked %d times within %s", seen, time.Since(begin).Round(time.Second))
}

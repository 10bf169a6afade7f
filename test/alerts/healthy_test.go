//go:build e2e

package alerts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
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

func (in *installation) alerts(ctx context.Context) ([]alert, error) {
	var answer struct {
		Data struct {
			Alerts []alert `json:"alerts"`
		} `json:"data"`
	}
	err := in.prometheus.Get(ctx, "/api/v1/alerts", nil, &answer)
	return answer.Data.Alerts, err
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

// urgent tells of what is for people: the others are beside them.
func (a alert) urgent() bool {
	return a.Labels["severity"] == "warning" || a.Labels["severity"] == "critical"
}

// settling is how long an alert may pend: pods that start are not ready yet, and
// rates of the first minute are high.
const settling = 3 * time.Minute

// checkHealthy watches all alerts for some time. None may fire, and none may have
// pended for so long that it would fire on a cluster that lives longer.
func (in *installation) checkHealthy(t *testing.T, span time.Duration) {
	begin := time.Now()
	complained := map[string]bool{}
	complain := func(a alert, what string) {
		if name := a.String() + what; !complained[name] {
			complained[name] = true
			reason, right := truthOfMachine(a)
			if !right {
				t.Errorf("%s %s after %s, value %s: %s", a, what, time.Since(begin).Round(time.Second), a.Value, a.Annotations["description"])
				return
			}
			t.Logf("%s %s, rightly: %s", a, what, reason)
		}
	}
	seen, watchdog := 0, false
	for time.Since(begin) < span {
		time.Sleep(5 * time.Second)
		all, err := in.alerts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen++
		for _, a := range all {
			watchdog = watchdog || a.Labels["alertname"] == "Watchdog" && a.State == "firing"
			switch {
			case !a.urgent():
			case a.State == "firing":
				complain(a, "fires")
			case time.Since(a.ActiveAt) > settling:
				complain(a, "is about to fire")
			}
		}
	}
	if !watchdog {
		t.Error("Watchdog does not fire: no rule is evaluated")
	}
	t.Logf("looked %d times within %s", seen, span)
}

// truthOfMachine tells whether an alert on a node says what is true of the machine
// below all nodes, by asking its kernel.
func truthOfMachine(a alert) (reason string, right bool) {
	if a.Labels["job"] != "node-exporter" {
		return "", false
	}
	switch name := a.Labels["alertname"]; name {
	case "NodeClockNotSynchronising":
		const unsynchronised = 0x40 // STA_UNSYNC
		var clock syscall.Timex
		_, err := syscall.Adjtimex(&clock)
		return "nothing synchronises the clock of this machine", err == nil && clock.Status&unsynchronised != 0
	case "NodeFilesystemSpaceFillingUp", "NodeFilesystemAlmostOutOfSpace":
		var disk syscall.Statfs_t
		if err := syscall.Statfs("/", &disk); err != nil {
			return err.Error(), false
		}
		free := float64(disk.Bavail) / float64(disk.Blocks)
		return fmt.Sprintf("%.1f%% of this machine's disk are free", 100*free), free < 0.15
	case "NodeOOMKills", "NodeSystemSaturation", "NodeMemoryMajorPagesFaults", "NodeMemoryHighUtilization", "NodeDiskIOSaturation":
		// Whatever else runs on the machine does this to all nodes alike.
		return "of this machine, whoever's work it is", true
	}
	return "", false
}

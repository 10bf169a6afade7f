//go:build e2e

package alerts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/dashboards"
)

// fault is something that went wrong, and the alert that has to tell of it.
type fault struct {
	name   string
	alert  string
	object map[string]string // labels of the alert that name the object, each matched as a whole
	atOnce bool              // it fires without having pended

	then func(t *testing.T) // breaks what had to be whole until it fired
}

func (in *installation) faults() []fault {
	pod := func(name string) map[string]string {
		return map[string]string{"namespace": shop, "pod": name + "-.+"}
	}
	return []fault{
		{name: "crash loop", alert: "KubePodCrashLooping", object: pod("crashing")},
		{name: "OOM kill", alert: "KubeContainerOOMKilled", object: pod("hungry"), atOnce: true},
		{name: "image pull failure", alert: "KubePodImagePullFailing", object: pod("imageless")},
		{name: "unschedulable pod", alert: "KubePodUnschedulable", object: pod("homeless")},
		{name: "full volume", alert: "KubePersistentVolumeFillingUp", object: map[string]string{
			"namespace": shop, "persistentvolumeclaim": "full", "severity": "critical"}},
		{name: "kubelet stopped", alert: "KubeNodeNotReady", object: map[string]string{"node": in.nodes[1]}},
		{name: "errors in logs", alert: "LogErrorSpike", object: map[string]string{"namespace": shop, "service_name": "logging"}, then: in.stopLoki},
		{name: "Loki stopped", alert: "CrowsnestStoreUnavailable", object: map[string]string{"component": "loki"}},
	}
}

// second is the number of the node that is lost.
const second = 2

// affected are the objects that the faults happen to, as labels name them.
func (in *installation) affected() *regexp.Regexp {
	return regexp.MustCompile(`^(crashing|hungry|imageless|homeless|hoarder|full|unbound|unready|unconfigured|migrate-badly|logging|loki|crowsnest-loki|` +
		regexp.QuoteMeta(in.nodes[1]) + `)(-.*)?$`)
}

// ofAll are alerts on the whole cluster that the workload's unsound pods and quota
// are the reason of: 4 TiB of memory asked for, and 8 TiB allowed.
var ofAll = []string{"KubeMemoryOvercommit", "KubeMemoryQuotaOvercommit"}

// breakPods begins all faults of pods and volumes, and whatever else the workload
// has that is not well.
func (in *installation) breakPods(t *testing.T) {
	t.Helper()
	if in.broken {
		return
	}
	in.broken = true
	in.kubectl(t, "cordon", in.nodes[1])
	in.mountVolume(t, "full", "8m")
	in.onFirst(t, `head -c 16M /dev/zero >/var/lib/crowsnest-test/full/fill || true`)
	in.kubectl(t, "apply", "-f", workload, "-f", "testdata/faults.yaml")
	eventually(t, "place for the pods on "+in.nodes[0], func(ctx context.Context) error {
		out, err := in.cluster.Kubectl(ctx, "--namespace", shop, "get", "pods", "--field-selector=spec.nodeName="+in.nodes[0], "--output=name").Output()
		for _, name := range []string{"crashing", "hungry", "imageless", "hoarder", "unready", "unconfigured", "bare", "migrate-badly"} {
			if err == nil && !strings.Contains(string(out), "pod/"+name) {
				err = fmt.Errorf("%s has none", name)
			}
		}
		return err
	})
	// Every sixth line is an error: many more than before.
	in.kubectl(t, "--namespace", shop, "patch", "deployment", "logging", "--type=json",
		`--patch=[{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["log", "-rate=200"]}]`)
	in.kubectl(t, "--namespace", shop, "rollout", "status", "deployment/logging", "--timeout="+patience.String())
	in.kubectl(t, "uncordon", in.nodes[1])
}

// checkFaults stops a kubelet and Loki, too, waits for all alerts, and mends the
// two.
func (in *installation) checkFaults(t *testing.T) {
	begin := time.Now()
	if err := in.cluster.Stop(t.Context(), second, "kubelet"); err != nil {
		t.Fatal(err)
	}
	defer in.mend(t)
	missing := in.faults()
	pending := map[string]time.Duration{}
	found := map[string]alert{}
	eventually(t, "alert on every fault", func(ctx context.Context) error {
		all, err := in.alerts(ctx)
		if err != nil {
			return err
		}
		var errs []error
		missing = slices.DeleteFunc(missing, func(f fault) bool {
			a, ok := f.find(all)
			after := time.Since(begin).Round(time.Second)
			switch {
			case !ok:
				errs = append(errs, fmt.Errorf("%s: no %s", f.name, f.alert))
			case a.State == "pending" && pending[f.name] == 0:
				pending[f.name] = after
				fallthrough
			case a.State == "pending":
				errs = append(errs, fmt.Errorf("%s: %s is pending", f.name, f.alert))
			default:
				if pending[f.name] == 0 && !f.atOnce {
					t.Errorf("%s: %s fired and had not pended", f.name, f.alert)
				}
				t.Logf("%-20s %-30s pending after %5s, firing after %s", f.name, f.alert, pending[f.name], after)
				found[f.name] = a
				if f.then != nil {
					f.then(t)
				}
				return true
			}
			return false
		})
		return errors.Join(errs...)
	})
	for _, f := range in.faults() {
		f.checkTexts(t, found[f.name])
	}
	in.checkOthers(t)
}

// stopLoki also ends its ruler.
func (in *installation) stopLoki(t *testing.T) {
	in.lokiStopped = true
	in.kubectl(t, "--namespace", namespace, "scale", "deployment/"+release+"-loki", "--replicas=0")
}

// find is the alert on the fault, the one that fires if there are several.
func (f fault) find(all []alert) (alert, bool) {
	var best alert
	for _, a := range all {
		if a.Labels["alertname"] == f.alert && f.concerns(a) && best.State != "firing" {
			best = a
		}
	}
	return best, best.Labels != nil
}

func (f fault) concerns(a alert) bool {
	for label, value := range f.object {
		if !regexp.MustCompile("^(" + value + ")$").MatchString(a.Labels[label]) {
			return false
		}
	}
	return true
}

// checkTexts: they name the object, and the links lead somewhere.
func (f fault) checkTexts(t *testing.T, a alert) {
	t.Helper()
	for label := range f.object {
		if label != "severity" && !strings.Contains(a.Annotations["description"], a.Labels[label]) {
			t.Errorf("%s: the description does not name the %s %s: %s", a, label, a.Labels[label], a.Annotations["description"])
		}
	}
	if a.Annotations["summary"] == "" {
		t.Errorf("%s has no summary", a)
	}
	if err := checkRunbook(a.Annotations["runbook_url"]); err != nil {
		t.Errorf("%s: %v", a, err)
	}
	link, err := url.Parse(a.Annotations["dashboard_url"])
	if err != nil {
		t.Errorf("%s: %v", a, err)
		return
	}
	d, err := dashboards.Find(path.Base(link.Path))
	if err != nil {
		t.Errorf("%s leads to %s: %v", a, link, err)
	}
	for name, values := range link.Query() {
		name := strings.TrimPrefix(name, "var-")
		if !slices.ContainsFunc(d.Variables, func(v dashboards.Variable) bool { return v.Name == name }) || values[0] == "" {
			t.Errorf("%s leads to %s with %s=%q, which the dashboard has no use for", a, d.UID, name, values)
		}
	}
}

// checkRunbook: the address ends in a page that is in this tree.
func checkRunbook(address string) error {
	const folder = "dashboards/runbooks/"
	_, page, found := strings.Cut(address, folder)
	if !found {
		return fmt.Errorf("runbook %q is not in %s", address, folder)
	}
	if _, err := os.Stat(filepath.Join(root, folder, page)); err != nil {
		return fmt.Errorf("find runbook: %w", err)
	}
	return nil
}

// checkOthers: what fires tells of something that a fault happened to.
func (in *installation) checkOthers(t *testing.T) {
	t.Helper()
	all, err := in.alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	affected := in.affected()
	for _, a := range all {
		if a.State != "firing" || !a.tells() || slices.Contains(ofAll, a.Labels["alertname"]) {
			continue
		}
		if _, right := kernel.confirms(a, in.start); right {
			continue
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(a.Labels)), affected.MatchString) {
			t.Errorf("%s fires for what nothing is wrong with: %s", a, a.Annotations["description"])
		}
	}
}

// mend gives the cluster its kubelet and its Loki back.
func (in *installation) mend(t *testing.T) {
	if err := in.cluster.Start(context.WithoutCancel(t.Context()), second, "kubelet"); err != nil {
		t.Error(err)
	}
	in.kubectl(t, "--namespace", namespace, "scale", "deployment/"+release+"-loki", "--replicas=1")
	in.kubectl(t, "--namespace", namespace, "rollout", "status", "deployment/"+release+"-loki", "--timeout="+patience.String())
	in.lokiStopped = false
	in.kubectl(t, "wait", "node", in.nodes[1], "--for=condition=Ready", "--timeout="+patience.String())
}

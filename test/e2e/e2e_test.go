//go:build e2e

package e2e

import (
	"flag"
	"testing"
)

var keep = flag.Bool("keep", false, "leave the cluster when the test has ended, and the release in it if the test failed")

func TestInstalledByHelm(t *testing.T) {
	in := prepare(t)
	// Without these, the rest can only say so once more.
	for _, step := range []step{
		{"install", in.install},
		{"workload reaches its states", in.reachStates},
	} {
		if !t.Run(step.name, step.run) {
			in.tell(t)
			t.FailNow()
		}
	}
	for _, step := range []step{
		{"delete pod of the workload", in.deleteWorkload},
		{"every container has its series", in.checkSeries},
		{"kubelet is asked with least privilege", in.checkKubelet},
		{"permissions", in.checkPermissions},
		{"helm test", in.helmTest},
		{"delete agent", func(t *testing.T) { in.deletePods(t, "agent") }},
		{"delete aggregators", func(t *testing.T) { in.deletePods(t, "aggregator") }},
		{"kill agent", func(t *testing.T) { in.kill(t, "agent") }},
		{"kill aggregators", func(t *testing.T) { in.kill(t, "aggregator") }},
		{"upgrade to a wrong authority of the kubelet", in.upgrade},
		{"rollback", in.rollback},
		{"every line once", in.checkLines},
		{"every trace with its pods", in.checkTraces},
		{"ledgers balance", in.checkLedgers},
		{"every container has its series again", in.checkSeries},
	} {
		if !t.Run(step.name, step.run) {
			in.tell(t)
		}
	}
	if t.Failed() && *keep {
		t.Logf("look around: export KUBECONFIG=%s", in.cluster.Kubeconfig())
		return
	}
	t.Run("uninstall", in.uninstall)
	if !*keep {
		t.Run("cluster-down", in.down)
	}
}

type step struct {
	name string
	run  func(*testing.T)
}

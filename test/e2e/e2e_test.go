//go:build e2e

package e2e

import (
	"flag"
	"testing"
)

var (
	keep   = flag.Bool("keep", false, "leave the cluster when the test has ended, and the release in it if the test failed")
	attach = flag.Bool("attach", false, "use the release that -keep left, and leave it: for single steps, by -run")
	number = flag.Int("cluster", 5, "number of the cluster")
	images = flag.String("images", root+"/bin/images", "folder of the archives that make images test-images writes")
)

func TestInstalledByHelm(t *testing.T) {
	in := prepare(t)
	// Without these, the rest can only say so once more.
	for _, step := range []step{
		{"install", in.install},
		{"workload reaches its states", in.reachStates},
	} {
		if !*attach && !t.Run(step.name, step.run) {
			in.tell(t)
			t.FailNow()
		}
	}
	for _, step := range []step{
		{"series of a deleted pod end", in.checkEnd},
		{"every container has its series", in.checkSeries},
		{"every family is there", in.checkFamilies},
		{"pairs match", in.checkPairs},
		{"values agree with their sources", in.checkValues},
		{"kill container", in.checkRestart},
		{"kubelet is asked with least privilege", in.checkKubelet},
		{"permissions", in.checkPermissions},
		{"helm test", in.helmTest},
		{"delete agent", func(t *testing.T) { in.deletePods(t, "agent") }},
		{"delete an aggregator", in.deleteAggregator},
		{"replace aggregators one by one", in.rollOut},
		{"delete aggregators", func(t *testing.T) { in.deletePods(t, "aggregator") }},
		{"kill agent, and counters begin anew", in.checkResets},
		{"kill aggregators", func(t *testing.T) { in.kill(t, "aggregator") }},
		{"leader fails", in.failOver},
		{"series are whole", in.checkContinuity},
		{"rules record", in.checkRules},
		{"upgrade to a wrong authority of the kubelet", in.upgrade},
		{"rollback", in.rollback},
		{"every line once", in.checkLines},
		{"every event once", in.checkEvents},
		{"every trace with its pods", in.checkTraces},
		{"ledgers balance", in.checkLedgers},
		{"every container has its series again", in.checkSeries},
	} {
		if !t.Run(step.name, step.run) && !*attach {
			in.tell(t)
		}
	}
	if *attach {
		return
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

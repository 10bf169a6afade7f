//go:build e2e

package kubestate

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
)

// patience is for what never comes: kube-state-metrics looks for new kinds of
// custom resources every three seconds, and no answer takes half of this.
const patience = time.Minute

func TestEqualsKubeStateMetrics(t *testing.T) {
	server := apiserver.Test(t)
	createObjects(t, server)
	checkSearch(t, startProxy(t, server))
	proxy := startProxy(t, server)

	t.Run("everything", func(t *testing.T) {
		theirs := startOracle(t, server, everythingOfTheirs(t)...)
		ours := startReceiver(t, proxy, everythingOfOurs(t, map[string]any{"scope": "all"}))
		compare(t, theirs, ours)
		checkCoverage(t, theirs)
	})
	t.Run("defaults", func(t *testing.T) {
		theirs := startOracle(t, server)
		ours := startReceiver(t, proxy, map[string]any{"scope": "all"})
		compare(t, theirs, ours)
	})
	t.Run("agents and a leader", func(t *testing.T) {
		theirs := startOracle(t, server, everythingOfTheirs(t)...)
		configs := []map[string]any{everythingOfOurs(t, map[string]any{"scope": "cluster"})}
		for _, node := range []string{"node-1", "odd-node", "worker-1", "node-without-pods"} {
			configs = append(configs, everythingOfOurs(t, map[string]any{"scope": "node", "node": node}))
		}
		compare(t, theirs, startReceiver(t, proxy, configs...))
	})
	t.Run("changes", func(t *testing.T) {
		theirs := startOracle(t, server, everythingOfTheirs(t)...)
		ours := startReceiver(t, proxy, everythingOfOurs(t, map[string]any{"scope": "all"}))
		compare(t, theirs, ours)
		changeObjects(t, server)
		compare(t, theirs, ours)
	})
	proxy.checkUnread(t)
}

// compare waits until both tell the same, and still do a moment later: one who
// has not begun must not be taken for one who has nothing to tell. The API server
// renews leases of its own, so that they may differ at one moment and not at the
// next.
func compare(t *testing.T, theirs *oracle, ours *collection) {
	t.Helper()
	const looks = 3
	equal := 0
	deadline := time.Now().Add(patience)
	for {
		want, got := theirs.page(t), ours.page()
		applyDifferences(want, got)
		if theirs.complete(want) && maps.Equal(want.series, got.series) {
			if equal++; equal == looks {
				compareFamilies(t, want, got)
				return
			}
		} else {
			equal = 0
		}
		if time.Now().After(deadline) {
			t.Fatalf("series differ (-kube-state-metrics +ours):\n%s", difference(want.series, got.series))
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// difference tells of the series that are not the same, a line each.
func difference(want, got map[string]float64) string {
	var lines []string
	for series, value := range want {
		if other, ok := got[series]; !ok || other != value {
			lines = append(lines, series+" -"+number(value))
		}
	}
	for series, value := range got {
		if other, ok := want[series]; !ok || other != value {
			lines = append(lines, series+" +"+number(value))
		}
	}
	slices.Sort(lines)
	const most = 200
	if len(lines) > most {
		lines = append(lines[:most], "…")
	}
	return strings.Join(lines, "\n")
}

// compareFamilies compares help and type of all that has a series.
func compareFamilies(t *testing.T, want, got page) {
	t.Helper()
	theirs, ours := map[string]family{}, map[string]family{}
	for series := range want.series {
		name := nameOf(series)
		theirs[name], ours[name] = want.families[name], got.families[name]
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("help or type of families (-kube-state-metrics +ours):\n%s", diff)
	}
	t.Logf("%d series of %d families are equal", len(want.series), len(theirs))
}

// checkCoverage fails for families that no object has a series of: nothing was
// compared for them.
func checkCoverage(t *testing.T, theirs *oracle) {
	t.Helper()
	p := theirs.page(t)
	seen := map[string]bool{}
	for series := range p.series {
		seen[nameOf(series)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(p.families)) {
		if !seen[name] {
			t.Errorf("no object of testdata/objects makes a series of %s", name)
		}
	}
}

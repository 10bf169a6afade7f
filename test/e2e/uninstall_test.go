//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
)

// objects lists every object of the cluster: "Secret default/name".
func (in *installation) objects(t *testing.T) map[string]bool {
	t.Helper()
	kinds := strings.Fields(in.kubectl(t, "api-resources", "--verbs=list", "--output=name"))
	// They are about objects, and go by themselves.
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return strings.HasPrefix(kind, "events") })
	found := map[string]bool{}
	for line := range strings.Lines(in.kubectl(t, "get", strings.Join(kinds, ","), "--all-namespaces", "--ignore-not-found", "--no-headers",
		"--output=custom-columns=:.kind,:.metadata.namespace,:.metadata.name")) {
		if f := strings.Fields(line); len(f) == 3 {
			found[f[0]+" "+f[1]+"/"+f[2]] = true
		}
	}
	if !found["Namespace <none>/default"] {
		t.Fatalf("the list of objects has no namespace default: %v", slices.Sorted(maps.Keys(found)))
	}
	return found
}

// uninstall leaves the cluster as it was before, but for the agents' state on the
// nodes, which the next installation goes on with.
func (in *installation) uninstall(t *testing.T) {
	in.clean(t)
	eventually(t, "cluster without the release", func(context.Context) error {
		left := in.objects(t)
		maps.DeleteFunc(left, func(object string, _ bool) bool { return in.before[object] })
		if len(left) > 0 {
			return fmt.Errorf("there is of it: %q", slices.Sorted(maps.Keys(left)))
		}
		return nil
	})
	for number := 1; number <= len(in.nodes); number++ {
		if out := in.inNode(t, number, `grep -l -e crowsnest-agent -e crowsnest-aggregator /proc/[0-9]*/comm || true`); out != "" {
			t.Errorf("node %d still runs %s", number, out)
		}
		if out := in.inNode(t, number, `ls /var/lib/crowsnest/`+namespace+"-"+release); !strings.Contains(out, "containerlogs") {
			t.Errorf("offsets are gone from node %d, there is %q", number, out)
		}
		if out := in.inNode(t, number, `ls /var/log/pods`); strings.Contains(out, release) {
			t.Errorf("node %d has logs of the release: %s", number, out)
		}
	}
}

// down ends the cluster, of which the machine keeps nothing.
func (in *installation) down(t *testing.T) {
	in.client.CloseIdleConnections()
	if err := cluster.Down(t.Context(), in.options, t.Output()); err != nil {
		t.Fatal(err)
	}
	left, err := cluster.Remains(t.Context(), in.options)
	if err != nil || len(left) > 0 {
		t.Errorf("there is of the cluster: %q (%v)", left, err)
	}
}

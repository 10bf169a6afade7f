//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
)

// objects lists those of the cluster that were made since the installation began:
// "Secret default/name".
func (in *installation) objects(t *testing.T) (made []string) {
	t.Helper()
	kinds := strings.Fields(in.kubectl(t, "api-resources", "--verbs=list", "--output=name"))
	// They are about objects, and go by themselves.
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return strings.HasPrefix(kind, "events") })
	for line := range strings.Lines(in.kubectl(t, "get", strings.Join(kinds, ","), "--all-namespaces", "--ignore-not-found", "--no-headers",
		"--output=custom-columns=:.kind,:.metadata.namespace,:.metadata.name,:.metadata.creationTimestamp")) {
		f := strings.Fields(line)
		if len(f) != 4 || f[3] == "<none>" || f[1] == "kube-node-lease" {
			// A ComponentStatus is never made; a new node's heartbeat may begin late.
			continue
		}
		at, err := time.Parse(time.RFC3339, f[3])
		if err != nil {
			t.Fatalf("parse time of %s %s: %v", f[0], f[2], err)
		}
		if !at.Before(in.start.Truncate(time.Second)) {
			made = append(made, f[0]+" "+f[1]+"/"+f[2])
		}
	}
	return made
}

// uninstall leaves the cluster as it was before, but for the agents' state on the
// nodes, which the next installation goes on with.
func (in *installation) uninstall(t *testing.T) {
	for _, object := range []string{"ClusterRole <none>/default-crowsnest-agent", "Secret default/crowsnest-ca", "Lease default/crowsnest-aggregator", "Lease default/crowsnest-aggregator-events"} {
		if made := in.objects(t); !slices.Contains(made, object) {
			t.Errorf("the list of objects does not have %s: %q", object, made)
		}
	}
	in.clean(t)
	eventually(t, "cluster without the release", func(context.Context) error {
		if left := in.objects(t); len(left) > 0 {
			return fmt.Errorf("there is of it: %q", left)
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
		// The kubelet removes them in its own time.
		eventually(t, "node without logs of the release", func(context.Context) error {
			if out := in.inNode(t, number, `ls /var/log/pods`); strings.Contains(out, release) {
				return fmt.Errorf("node %d has logs of the release: %s", number, out)
			}
			return nil
		})
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

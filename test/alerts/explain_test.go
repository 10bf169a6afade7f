//go:build e2e

package alerts

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// explain writes what the cluster says of itself when a test failed.
func (in *installation) explain(t *testing.T) {
	if !t.Failed() {
		return
	}
	dir := t.ArtifactDir()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	defer cancel()
	write := func(name string, text []byte, err error) {
		if err != nil {
			text = append(text, "\n"+err.Error()+"\n"...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Log(err)
		}
	}
	all, err := in.alerts(ctx)
	for _, a := range all {
		if a.tells() {
			why, _ := kernel.confirms(a, in.start)
			t.Logf("at the end: %s is %s since %s, value %s: %s; %s", a, a.State, a.ActiveAt.Format(time.TimeOnly), a.Value, a.Annotations["description"], why)
		}
	}
	text, marshalErr := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = marshalErr
	}
	write("alerts.json", text, err)
	const component = "--selector=app.kubernetes.io/instance=" + release
	for name, args := range map[string][]string{
		"pods.txt":   {"get", "pods", "--all-namespaces", "--output=wide"},
		"nodes.txt":  {"describe", "nodes"},
		"events.txt": {"get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"},
		"logs.txt":   {"--namespace", namespace, "logs", component, "--all-containers", "--prefix", "--tail=2000", "--max-log-requests=20"},
	} {
		out, err := in.cluster.Kubectl(ctx, args...).CombinedOutput()
		write(name, out, err)
	}
	t.Logf("alerts, pods, nodes, events and logs are in %s, and kept with -artifacts", dir)
}

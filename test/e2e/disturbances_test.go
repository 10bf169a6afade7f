//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// deletePods deletes all pods of a part at once, and waits for data from after.
func (in *installation) deletePods(t *testing.T, part string) {
	before := in.kubectl(t, "--namespace", namespace, "get", "pods", "--selector", component(part), "--output=jsonpath={.items[*].metadata.name}")
	in.kubectl(t, "--namespace", namespace, "delete", "pods", "--selector", component(part), "--timeout="+patience.String())
	in.awaitReady(t)
	after := in.kubectl(t, "--namespace", namespace, "get", "pods", "--selector", component(part), "--output=jsonpath={.items[*].metadata.name}")
	for _, pod := range strings.Fields(before) {
		if strings.Contains(after, pod) {
			t.Errorf("%s is still there", pod)
		}
	}
	in.awaitData(t, time.Now())
}

// rollOut replaces the aggregators as an upgrade does.
func (in *installation) rollOut(t *testing.T) {
	in.kubectl(t, "--namespace", namespace, "rollout", "restart", "deployment", release+"-aggregator")
	in.kubectl(t, "--namespace", namespace, "rollout", "status", "deployment", release+"-aggregator", "--timeout="+patience.String())
	in.awaitReady(t)
	in.awaitData(t, time.Now())
}

// deleteAggregator deletes the one that the first node's agent is with, which is
// to be with the other one then.
func (in *installation) deleteAggregator(t *testing.T) {
	with := func() string {
		address := in.inNode(t, 1, `cat /var/lib/crowsnest/`+namespace+"-"+release+`/aggregator`)
		host, _, err := net.SplitHostPort(strings.TrimSpace(address))
		if err != nil {
			t.Fatal(err)
		}
		return host
	}
	pods, err := in.pods(t.Context(), namespace, component("aggregator"))
	if err != nil {
		t.Fatal(err)
	}
	before := with()
	i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Status.PodIP == before })
	if i < 0 {
		t.Fatalf("the agent is with %s, which is none of the %d aggregators", before, len(pods))
	}
	begin := time.Now()
	in.kubectl(t, "--namespace", namespace, "delete", "pod", pods[i].Name, "--timeout="+patience.String())
	eventually(t, "move of the agent", func(context.Context) error {
		if now := with(); now == before {
			return errors.New("it is with " + now)
		}
		return nil
	})
	t.Logf("the agent's metrics are with another after %s", since(begin))
	in.awaitReady(t)
	in.awaitData(t, time.Now())
}

// deleteWorkload deletes a pod that logs while it is asked to end. Its log goes
// with it; what a follower was given is what the pod wrote.
func (in *installation) deleteWorkload(t *testing.T) {
	pods, err := in.pods(t.Context(), shop, "app.kubernetes.io/name=frontend")
	if err != nil || len(pods) != 1 {
		t.Fatalf("pods of frontend: %v (%v)", pods, err)
	}
	var log bytes.Buffer
	follow := in.cluster.Kubectl(t.Context(), "--namespace", shop, "logs", pods[0].Name, "--follow")
	follow.Stdout = &log
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	in.kubectl(t, "--namespace", shop, "delete", "pod", pods[0].Name, "--timeout="+patience.String())
	follow.Wait() // it ends with the container
	last := lastLines(log.Bytes())
	if len(last) != 1 {
		t.Fatalf("the follower was given the streams %v", last)
	}
	maps.Copy(in.written, last)
	in.gone = append(in.gone, pods[0])
}

// kill sends SIGKILL to every process of a part, and waits for data from after.
func (in *installation) kill(t *testing.T, part string) {
	pods, err := in.pods(t.Context(), namespace, component(part))
	if err != nil || len(pods) == 0 {
		t.Fatalf("pods of %s: %v (%v)", part, pods, err)
	}
	for _, p := range pods {
		in.killContainer(t, p)
	}
	in.awaitReady(t)
	in.awaitData(t, time.Now())
}

// killContainer sends SIGKILL to every process of a pod's first container, and
// waits for its restart.
func (in *installation) killContainer(t *testing.T, p corev1.Pod) {
	t.Helper()
	status := p.Status.ContainerStatuses[0]
	_, id, _ := strings.Cut(status.ContainerID, "://")
	in.inNode(t, slices.Index(in.nodes, p.Spec.NodeName)+1, fmt.Sprintf(
		`set -e; for cgroup in $(grep -l %s /proc/[0-9]*/cgroup); do pid=${cgroup#/proc/}; kill -KILL ${pid%%/cgroup}; done`, id))
	eventually(t, "restart of "+p.Name, func(ctx context.Context) error {
		now, err := in.pods(ctx, p.Namespace, "")
		for _, n := range now {
			c := n.Status.ContainerStatuses
			if n.UID != p.UID || len(c) != 1 || c[0].RestartCount == status.RestartCount {
				continue
			}
			if end := c[0].LastTerminationState.Terminated; end == nil || end.ExitCode != 137 {
				return fmt.Errorf("it ended by itself: %+v", end)
			}
			return nil
		}
		return errors.Join(err, errors.New("not yet"))
	})
}

// upgrade changes both programs, and makes a mistake: the agents verify the
// kubelet's certificate by an authority that did not sign it. So no kubelet may
// be up, and the other signals must not mind.
func (in *installation) upgrade(t *testing.T) {
	certificates := in.certificates(t)
	in.helm(t, "upgrade", release, chart, "--namespace", namespace, "--reuse-values",
		"--set-string", "agent.extraEnv.CROWSNEST_KUBELET_CA_FILE=/etc/crowsnest/tls/ca.crt",
		"--set-string", "aggregator.podAnnotations.revision=two")
	in.awaitReady(t)
	if diff := cmp.Diff(certificates, in.certificates(t)); diff != "" {
		t.Errorf("the upgrade made other certificates:\n%s", diff)
	}
	in.checkUp(t, 0)
	now := time.Now()
	eventually(t, "line from after the upgrade", func(ctx context.Context) error { return in.newLine(ctx, now) })
	eventually(t, "trace from after the upgrade", func(ctx context.Context) error { return in.newTrace(ctx, now) })
}

func (in *installation) rollback(t *testing.T) {
	certificates := in.certificates(t)
	in.helm(t, "rollback", release, "1", "--namespace", namespace)
	in.awaitReady(t)
	if diff := cmp.Diff(certificates, in.certificates(t)); diff != "" {
		t.Errorf("the rollback made other certificates:\n%s", diff)
	}
	in.checkUp(t, 1)
	in.awaitData(t, time.Now())
}

// certificates are those of mutual TLS, by Secret; no keys, a test logs them.
func (in *installation) certificates(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, secret := range []string{"ca", "agent-tls", "aggregator-tls"} {
		certificate := in.kubectl(t, "--namespace", namespace, "get", "secret", release+"-"+secret, `--output=jsonpath={.data.tls\.crt}`)
		if certificate == "" {
			t.Fatalf("Secret %s-%s has no tls.crt", release, secret)
		}
		found[secret] = certificate
	}
	return found
}

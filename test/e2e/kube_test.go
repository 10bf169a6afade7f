//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
)

// patience is for what never comes: no step takes half of it on a busy two-core
// machine.
var patience = 6 * time.Minute

// maxAnswerBytes bounds an answer of the API server.
const maxAnswerBytes = 64 << 20

// eventually asks until there is no error.
func eventually(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	cluster.TestEventually(t, patience, what, ask)
}

// kubectl returns what the command printed.
func (in *installation) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return in.cluster.TestKubectl(t, args...)
}

func (in *installation) helm(t *testing.T, args ...string) string {
	t.Helper()
	return in.cluster.TestHelm(t, args...)
}

// get asks the API server; an answer other than 200 is an error.
func (in *installation) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	code, body, err := get(ctx, in.client, in.host+path+"?"+query.Encode(), "")
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("GET %s: HTTP %d: %.500s", path, code, body)
	}
	return body, err
}

func get(ctx context.Context, client *http.Client, url, token string) (code int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	return resp.StatusCode, body, err
}

// pods lists those of a namespace, or of all.
func (in *installation) pods(ctx context.Context, namespace, selector string) ([]corev1.Pod, error) {
	path := "/api/v1/pods"
	if namespace != "" {
		path = "/api/v1/namespaces/" + namespace + "/pods"
	}
	body, err := in.get(ctx, path, url.Values{"labelSelector": {selector}})
	if err != nil {
		return nil, err
	}
	var list corev1.PodList
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("decode pods: %w", err)
	}
	return list.Items, nil
}

// component selects the pods of a part of the release, "" all.
func component(name string) string {
	selector := "app.kubernetes.io/instance=" + release
	if name != "" {
		selector += ",app.kubernetes.io/component=" + name
	}
	return selector
}

func ready(p corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// awaitReady waits until every part of the release runs and has no pod that is
// not Ready, or about to go.
func (in *installation) awaitReady(t *testing.T) {
	t.Helper()
	for _, workload := range []string{"daemonset/agent", "deployment/aggregator", "deployment/loki", "deployment/prometheus", "deployment/jaeger", "deployment/scraper"} {
		kind, name, _ := strings.Cut(workload, "/")
		in.kubectl(t, "--namespace", namespace, "rollout", "status", kind+"/"+release+"-"+name, "--timeout="+patience.String())
	}
	eventually(t, "pod but Ready ones", func(ctx context.Context) error {
		pods, err := in.pods(ctx, namespace, component(""))
		for _, p := range pods {
			if !ready(p) || p.DeletionTimestamp != nil {
				return fmt.Errorf("%s is not Ready", p.Name)
			}
		}
		return err
	})
}

// inNode runs a shell command in a node and returns what it printed.
func (in *installation) inNode(t *testing.T, number int, script string) string {
	t.Helper()
	cmd, err := in.cluster.NodeCommand(t.Context(), number, "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	return cluster.TestOutput(t, cmd)
}

// tell logs what a person would look at first.
func (in *installation) tell(t *testing.T) {
	for _, args := range [][]string{
		{"get", "pods", "--all-namespaces", "--output=wide"},
		{"--namespace", namespace, "describe", "pods", "--selector", component("")},
		{"--namespace", namespace, "logs", "--selector", component("agent"), "--tail=40", "--prefix"},
		{"--namespace", namespace, "logs", "--selector", component("aggregator"), "--tail=40", "--prefix"},
		{"get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"},
	} {
		out, err := in.cluster.Kubectl(t.Context(), args...).CombinedOutput()
		if len(out) > 24<<10 {
			out = out[len(out)-24<<10:]
		}
		t.Logf("kubectl %s (%v):\n%s", strings.Join(args, " "), err, out)
	}
}

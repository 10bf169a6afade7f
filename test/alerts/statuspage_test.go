//go:build e2e

package alerts

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/crowsnest-o11y/crowsnest/pipeline/statuspage"
)

// maxPageBytes bounds an answer of the status page.
const maxPageBytes = 4 << 20

// checkStatusPages opens the page of each aggregator as the chart's notes say, with
// the token and without. Each has to tell of both, and of the agents of both.
func (in *installation) checkStatusPages(t *testing.T) {
	encoded := in.kubectl(t, "--namespace", namespace, "get", "secret", release+"-aggregator-status", "--output=jsonpath={.data.token}")
	token, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(token) == 0 {
		t.Fatalf("read token: %q, %v", encoded, err)
	}
	pods := strings.Fields(in.kubectl(t, "--namespace", namespace, "get", "pods", "--output=jsonpath={.items[*].metadata.name}",
		"--selector=app.kubernetes.io/component=aggregator,app.kubernetes.io/instance="+release))
	if len(pods) != 2 {
		t.Fatalf("aggregators are %q, want two", pods)
	}
	slices.Sort(pods)
	for _, pod := range pods {
		t.Run(pod, func(t *testing.T) {
			page := in.forward(t, pod)
			for _, wrong := range []string{"", "no-such-token-at-all"} {
				if code, _, err := open(t.Context(), page+"/api/v1/status", wrong); err != nil || code != http.StatusUnauthorized {
					t.Errorf("with the token %q: HTTP %d, %v; want 401", wrong, code, err)
				}
			}
			eventually(t, "both replicas on one page", func(ctx context.Context) error {
				return errors.Join(in.checkStatus(ctx, page, string(token), pods), in.checkOwnStatus(ctx, page, string(token), pod))
			})
			_, text, err := open(t.Context(), page+"/", string(token))
			for _, name := range slices.Concat(pods, in.nodes[:]) {
				if err != nil || !strings.Contains(string(text), name) {
					t.Errorf("the page does not show %s (%v)", name, err)
				}
			}
		})
	}
}

// checkStatus reads what all replicas have seen.
func (in *installation) checkStatus(ctx context.Context, page, token string, pods []string) error {
	s, err := status(ctx, page+"/api/v1/status", token)
	if err != nil {
		return err
	}
	var replicas, aggregators, agents, nodes, delivering []string
	for _, r := range s.Replicas {
		if r.Error != "" {
			return fmt.Errorf("replica %s: %s", r.Name, r.Error)
		}
		replicas = append(replicas, r.Name)
	}
	for _, p := range s.Aggregators {
		aggregators = append(aggregators, p.Name)
	}
	for _, p := range s.Agents {
		if len(p.Signals) != 3 || p.Signals[0].Delivered == 0 || p.LastReading.IsZero() {
			return fmt.Errorf("agent %s has no readings: %+v", p.Name, p)
		}
		agents = append(agents, p.Name)
	}
	for _, n := range s.Nodes {
		if !n.Agent {
			return fmt.Errorf("node %s has no agent", n.Name)
		}
		nodes = append(nodes, n.Name)
	}
	for _, d := range s.Deliveries {
		if !slices.Contains(delivering, d.Replica) {
			delivering = append(delivering, d.Replica)
		}
	}
	var errs []error
	for _, c := range []struct {
		what      string
		got, want []string
	}{{"replicas", replicas, pods}, {"aggregators", aggregators, pods}, {"deliveries", delivering, pods}, {"agents", agents, in.nodes[:]}, {"nodes", nodes, in.nodes[:]}} {
		slices.Sort(c.got)
		if !slices.Equal(c.got, c.want) {
			errs = append(errs, fmt.Errorf("%s are of %q, want %q", c.what, c.got, c.want))
		}
	}
	if s.Partial {
		errs = append(errs, errors.New("it says that there may be others"))
	}
	if s.Alerts == nil || s.Alerts.Error != "" {
		errs = append(errs, fmt.Errorf("alerts: %+v", s.Alerts))
	}
	return errors.Join(errs...)
}

// checkOwnStatus: without the others, a replica does not know of them.
func (in *installation) checkOwnStatus(ctx context.Context, page, token, pod string) error {
	s, err := status(ctx, page+"/api/v1/status?scope=replica", token)
	if err == nil && (len(s.Replicas) != 1 || s.Replicas[0].Name != pod || len(s.Aggregators) != 1 || s.Aggregators[0].Name != pod) {
		err = fmt.Errorf("%s alone has seen %+v and %d aggregators", pod, s.Replicas, len(s.Aggregators))
	}
	return err
}

// forward makes a pod's page reachable, until the test ends.
func (in *installation) forward(t *testing.T, pod string) (base string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := in.cluster.Kubectl(ctx, "--namespace", namespace, "port-forward", "pod/"+pod, ":13080")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	_, rest, found := strings.Cut(line, "Forwarding from ")
	address, _, _ := strings.Cut(rest, " ")
	if !found {
		t.Fatalf("forward a port of %s: %q, %v\n%s", pod, line, err, stderr.String())
	}
	return "http://" + address
}

func status(ctx context.Context, target, token string) (statuspage.Status, error) {
	var s statuspage.Status
	code, text, err := open(ctx, target, token)
	if err != nil {
		return s, err
	}
	if code != http.StatusOK {
		return s, fmt.Errorf("GET %s: HTTP %d: %s", target, code, text)
	}
	return s, json.Unmarshal(text, &s)
}

// open sends a token, if there is one.
func open(ctx context.Context, target, token string) (code int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxPageBytes))
	return answer.StatusCode, body, err
}

package nodesim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/google/go-cmp/cmp"
)

// kubeletClient trusts the node's CA; get asks with the node's token.
func kubeletClient(t *testing.T, n *Node) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(n.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

func get(ctx context.Context, c *http.Client, n *Node, path string) (int, string, error) {
	token, err := os.ReadFile(n.TokenFile)
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.KubeletURL+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func mustGet(t *testing.T, n *Node, path string) string {
	t.Helper()
	code, body, err := get(t.Context(), kubeletClient(t, n), n, path)
	if err != nil || code != http.StatusOK {
		t.Fatalf("GET %s: HTTP %d, %v", path, code, err)
	}
	return body
}

func TestPodListHasTheShapeOfARealOne(t *testing.T) {
	n := start(t, Config{Pods: 30})
	var list corev1.PodList
	if err := json.Unmarshal([]byte(mustGet(t, n, "/pods")), &list); err != nil {
		t.Fatal(err)
	}
	real, err := os.ReadFile("testdata/pods.json")
	if err != nil {
		t.Fatal(err)
	}
	known := keys(t, real, nil)
	// Kinds of objects that the captured node has none of.
	for _, path := range []string{".items[].spec.containers[].resources.limits.cpu", ".metadata"} {
		known[path] = true
	}
	for path := range keys(t, []byte(mustGet(t, n, "/pods")), regexp.MustCompile(`\.(labels|annotations)\.`)) {
		if !known[path] {
			t.Errorf("%s is not in a real kubelet's pod list", path)
		}
	}
	owners := map[string]bool{}
	ips := map[string]bool{}
	for _, p := range list.Items {
		for _, o := range p.OwnerReferences {
			owners[o.Kind] = true
		}
		ips[p.Status.PodIP] = true
		for _, c := range append(p.Status.ContainerStatuses, p.Status.InitContainerStatuses...) {
			if !regexp.MustCompile(`^containerd://[0-9a-f]{64}$`).MatchString(c.ContainerID) {
				t.Errorf("%s/%s has container id %q", p.Name, c.Name, c.ContainerID)
			}
			if _, err := os.Stat(n.PodsDir + "/" + p.Namespace + "_" + p.Name + "_" + string(p.UID) + "/" + c.Name + "/0.log"); err != nil {
				t.Error(err)
			}
		}
	}
	if want := map[string]bool{"ReplicaSet": true, "StatefulSet": true, "DaemonSet": true, "Job": true}; !cmp.Equal(owners, want) {
		t.Errorf("owners %v, want %v", owners, want)
	}
	if len(ips) != 30 || len(list.Items) != 30 {
		t.Errorf("%d pods with %d addresses, want 30", len(list.Items), len(ips))
	}
}

// keys lists the paths of all fields; those that match skip are left out.
func keys(t *testing.T, text []byte, skip *regexp.Regexp) map[string]bool {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if skip != nil && skip.MatchString(path) {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			for k, child := range v {
				walk(path+"."+k, child)
			}
		case []any:
			for _, child := range v {
				walk(path+"[]", child)
			}
		default:
			all[path] = true
		}
	}
	walk("", v)
	return all
}

var sampleName = regexp.MustCompile(`(?m)^([a-z_:]+)\{([^}]*)\}`)

// shapes lists the metric families of a page, each with its label names.
func shapes(page string) map[string]bool {
	labelName := regexp.MustCompile(`([a-z_]+)="`)
	all := map[string]bool{}
	for _, m := range sampleName.FindAllStringSubmatch(page, -1) {
		var names []string
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			names = append(names, l[1])
		}
		all[m[1]+"{"+strings.Join(names, ",")+"}"] = true
	}
	return all
}

func TestMetricsPagesAreTheRealOnesOfOtherPods(t *testing.T) {
	n := start(t, Config{Pods: 12})
	for path, file := range map[string]string{"/metrics": "metrics.txt", "/metrics/cadvisor": "metrics-cadvisor.txt",
		"/metrics/resource": "metrics-resource.txt", "/metrics/probes": "metrics-probes.txt"} {
		real, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		page := mustGet(t, n, path)
		if got, want := shapes(page), shapes(string(real)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: families and labels differ from the capture (-real +simulated):\n%s", path, cmp.Diff(want, got))
		}
		if strings.Contains(page, patternPod) || strings.Contains(page, patternUID) {
			t.Errorf("%s still names the captured pod", path)
		}
	}
	page := mustGet(t, n, "/metrics/cadvisor")
	for _, c := range n.Running() {
		id, _ := c.log.identity()
		row := regexp.MustCompile(`container_cpu_usage_seconds_total\{container="` + c.Name + `",cpu="total",id="/kubepods/[a-z]+/pod` + c.Pod.UID + `/` + id +
			`",image="` + regexp.QuoteMeta(c.Image) + `",name="` + id + `",namespace="` + c.Pod.Namespace + `",pod="` + c.Pod.Name + `"\} [0-9.e-]+ \d{13}\n`)
		if n := len(row.FindAllString(page, -1)); n != 1 {
			t.Errorf("%s/%s has %d CPU rows, want 1", c.Pod.Name, c.Name, n)
		}
	}
}

func TestCountersGrowBetweenHousekeepings(t *testing.T) {
	n := start(t, Config{Pods: 5})
	pages, err := loadPages()
	if err != nil {
		t.Fatal(err)
	}
	cpu := regexp.MustCompile(`(?m)^container_cpu_usage_seconds_total\{container="frontend",.*\} (\S+) (\d+)$`)
	row := func(at time.Time) string {
		m := cpu.Find(pages["/metrics/cadvisor"].render(n, at))
		if m == nil {
			t.Fatal("no CPU row of the frontend")
		}
		return string(m)
	}
	at := n.start.Add(time.Minute).Truncate(housekeeping)
	if row(at) != row(at.Add(housekeeping-time.Millisecond)) {
		t.Error("a row changed between two housekeepings")
	}
	if row(at) == row(at.Add(housekeeping)) {
		t.Error("a row did not change after housekeeping")
	}
}

func TestKubeletFaults(t *testing.T) {
	n := start(t, Config{Pods: 5})
	c := kubeletClient(t, n)
	resp, err := c.Get(n.KubeletURL + "/pods")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without token: HTTP %d, want 401", resp.StatusCode)
	}
	for fault, want := range map[Fault]int{Unauthorized: 401, ServerError: 500, NoFault: 200} {
		n.SetFault(fault)
		if code, _, err := get(t.Context(), c, n, "/pods"); err != nil || code != want {
			t.Errorf("fault %d: HTTP %d, %v; want %d", fault, code, err, want)
		}
	}
	n.SetFault(Disconnect)
	if _, _, err := get(t.Context(), c, n, "/pods"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("disconnect gives %v, want an unexpected end", err)
	}
	n.SetFault(Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := get(ctx, c, n, "/pods"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang gives %v, want the client's own deadline", err)
	}
}

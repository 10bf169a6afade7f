//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
)

// checkKubelet asks the kubelets as the agents do: by the token of their service
// account, verifying by the authority that every pod is given.
func (in *installation) checkKubelet(t *testing.T) {
	for name, want := range map[string]string{"CROWSNEST_KUBELET_INSECURE_SKIP_VERIFY": "false", "CROWSNEST_KUBELET_CA_FILE": ""} {
		if got := in.kubectl(t, "--namespace", namespace, "get", "daemonset", release+"-agent",
			`--output=jsonpath={.spec.template.spec.containers[0].env[?(@.name=="`+name+`")].value}`); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM([]byte(in.kubectl(t, "--namespace", namespace, "get", "configmap", "kube-root-ca.crt", `--output=jsonpath={.data.ca\.crt}`))) {
		t.Fatal("kube-root-ca.crt has no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	token := strings.TrimSpace(in.kubectl(t, "--namespace", namespace, "create", "token", release+"-agent"))
	addresses := strings.Fields(in.kubectl(t, "get", "nodes", `--output=jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}`))
	if len(addresses) != len(in.nodes) {
		t.Fatalf("addresses of nodes are %q", addresses)
	}
	for _, address := range addresses {
		for _, c := range []struct {
			path, token string
			want        int
		}{
			{"/metrics/cadvisor", token, 200}, {"/metrics/resource", token, 200}, {"/metrics/probes", token, 200}, {"/metrics", token, 200},
			{"/pods", token, 403}, {"/configz", token, 403}, {"/logs/", token, 403}, {"/stats/summary", token, 403},
			{"/containerLogs/" + shop + "/none/none", token, 403}, {"/metrics/cadvisor", "", 401},
		} {
			code, _, err := get(t.Context(), client, "https://"+address+":10250"+c.path, c.token)
			if err != nil || code != c.want {
				t.Errorf("kubelet %s, %s (token: %t): HTTP %d, %v; want %d", address, c.path, c.token != "", code, err, c.want)
			}
		}
	}
}

// checkPermissions asks the API server what the service accounts may.
func (in *installation) checkPermissions(t *testing.T) {
	for _, c := range []struct {
		account, verb, resource string
		want                    string
	}{
		{"agent", "get", "pods", "yes"},
		{"agent", "list", "pods", "yes"},
		{"agent", "watch", "pods", "yes"},
		{"agent", "get", "nodes/metrics", "yes"},
		{"agent", "get", "nodes/proxy", "no"},
		{"agent", "create", "nodes/proxy", "no"},
		{"agent", "get", "nodes/log", "no"},
		{"agent", "get", "nodes", "no"},
		{"agent", "get", "secrets", "no"},
		{"agent", "list", "secrets", "no"},
		{"agent", "get", "configmaps", "no"},
		{"agent", "create", "pods", "no"},
		{"agent", "delete", "pods", "no"},
		{"agent", "create", "pods/exec", "no"},
		{"agent", "get", "pods/log", "no"},
		{"agent", "create", "serviceaccounts/token", "no"},
		{"agent", "*", "*", "no"},
		{"aggregator", "get", "pods", "no"},
		{"aggregator", "list", "pods", "yes"},
		// Kubernetes cannot grant their metadata alone: sources.secrets.
		{"aggregator", "list", "secrets", "yes"},
		{"aggregator", "get", "secrets", "no"},
		{"aggregator", "create", "pods", "no"},
		{"aggregator", "get", "nodes/metrics", "no"},
		{"aggregator", "*", "*", "no"},
	} {
		resource, subresource, _ := strings.Cut(c.resource, "/")
		args := []string{"auth", "can-i", c.verb, resource, "--all-namespaces",
			"--as=system:serviceaccount:" + namespace + ":" + release + "-" + c.account}
		if subresource != "" {
			args = append(args, "--subresource="+subresource)
		}
		// "no" is also exit code 1, and there may be warnings beside it.
		out, _ := in.cluster.Kubectl(t.Context(), args...).Output()
		if got := strings.TrimSpace(string(out)); got != c.want {
			t.Errorf("may the %s %s %s? %q, want %s", c.account, c.verb, c.resource, got, c.want)
		}
	}
}

// helmTest runs the tests that the chart brings along.
func (in *installation) helmTest(t *testing.T) {
	if out := in.helm(t, "test", release, "--namespace", namespace); !strings.Contains(out, "Succeeded") {
		t.Errorf("helm test ran nothing:\n%s", out)
	}
}

package chart

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// permissions lists what ClusterRoles and Roles grant, one a line.
func permissions(objects []object) []string {
	var granted []string
	for _, o := range objects {
		if o.kind() != "ClusterRole" && o.kind() != "Role" {
			continue
		}
		rules, _ := at(o, "rules").([]any)
		for _, rule := range rules {
			resources, _ := at(rule, "resources").([]any)
			urls, _ := at(rule, "nonResourceURLs").([]any)
			for _, resource := range slices.Concat(resources, urls) {
				for _, verb := range at(rule, "verbs").([]any) {
					group, _ := at(rule, "apiGroups", 0).(string)
					granted = append(granted, fmt.Sprintf("%s %s/%v", verb, group, resource))
				}
			}
		}
	}
	for i := range granted {
		granted[i] = strings.Replace(granted[i], " /", " ", 1)
	}
	sort.Strings(granted)
	return slices.Compact(granted)
}

const noSources = "sources.kubeState=false,sources.controlPlane=false,sources.applications=false,sources.events=false"

// The table in the README says why each is needed.
func TestPermissionsAreTheFewThatAreNeeded(t *testing.T) {
	for _, test := range []struct {
		values []string
		want   []string
	}{
		{[]string{"--set", noSources}, []string{"get nodes/metrics", "get pods", "list pods", "watch pods"}},
		{[]string{"--set", "signals.metrics=false,sources.events=false"}, []string{"get pods", "list pods", "watch pods"}},
		{[]string{"--set", noSources, "--set", "agent.podSource=kubelet"}, []string{"get nodes/metrics", "get nodes/pods"}},
		{[]string{"--set", noSources, "--set", "agent.podSource=kubelet,agent.kubelet.grantNodesProxy=true"},
			[]string{"get nodes/metrics", "get nodes/pods", "get nodes/proxy"}},
		{[]string{"--set", noSources + ",sources.controlPlane=true"}, []string{
			"create coordination.k8s.io/leases", "get /metrics", "get coordination.k8s.io/leases", "get discovery.k8s.io/endpointslices",
			"get nodes/metrics", "get pods", "list discovery.k8s.io/endpointslices", "list pods", "update coordination.k8s.io/leases", "watch pods"}},
		{[]string{"--set", "signals.metrics=false"}, []string{
			"create coordination.k8s.io/leases", "get coordination.k8s.io/leases", "get pods", "list events", "list pods",
			"update coordination.k8s.io/leases", "watch events", "watch pods"}},
		{[]string{"--set", noSources + ",sources.applications=true"}, []string{
			"get monitoring.coreos.com/podmonitors", "get monitoring.coreos.com/servicemonitors", "get nodes/metrics", "get pods", "get services",
			"list monitoring.coreos.com/podmonitors", "list monitoring.coreos.com/servicemonitors", "list pods", "list services",
			"watch monitoring.coreos.com/podmonitors", "watch monitoring.coreos.com/servicemonitors", "watch pods", "watch services"}},
	} {
		manifests := mustTemplate(t, append([]string{"--values", valuesFile("default")}, test.values...)...)
		if diff := cmp.Diff(test.want, permissions(decode(t, manifests))); diff != "" {
			t.Errorf("%v: permissions (-want +granted):\n%s", test.values, diff)
		}
	}
}

// Nothing is written but the Leases, nothing is granted by a wildcard, and no
// single Secret can be got.
func TestPermissionsAreToRead(t *testing.T) {
	for _, p := range permissions(decode(t, render(t, "default"))) {
		verb, what, _ := strings.Cut(p, " ")
		switch {
		case what == "coordination.k8s.io/leases" && (verb == "create" || verb == "update"):
		case verb != "get" && verb != "list" && verb != "watch":
			t.Errorf("%s is granted", p)
		case strings.Contains(p, "*") || p == "get secrets":
			t.Errorf("%s is granted", p)
		}
	}
	for _, p := range permissions(decode(t, mustTemplate(t, "--values", valuesFile("default"), "--set", "sources.secrets=false"))) {
		if strings.HasSuffix(p, " secrets") {
			t.Errorf("%s is granted without sources.secrets", p)
		}
	}
}

func TestPodsAreRestricted(t *testing.T) {
	for _, o := range decode(t, render(t, "quickstart")) {
		pod := at(o, "spec", "template")
		if o.kind() == "Pod" {
			pod = o
		}
		if pod == nil {
			continue
		}
		agent := at(o, "metadata", "labels", "app.kubernetes.io/component") == "agent"
		checkPod(t, o, at(pod, "spec"), agent)
	}
}

// checkPod holds a pod to the restricted pod security standard and a little
// more; agents may be root and mount folders of the node, as the README says.
func checkPod(t *testing.T, o object, spec any, agent bool) {
	t.Helper()
	who := o.kind() + " " + o.name()
	if nonRoot := at(spec, "securityContext", "runAsNonRoot") == true; nonRoot == agent {
		t.Errorf("%s: runAsNonRoot is %v", who, nonRoot)
	}
	leads := strings.HasSuffix(o.name(), "-aggregator") // asks the API server for the state of the cluster
	if token := at(spec, "automountServiceAccountToken"); token != (agent || leads) {
		t.Errorf("%s: automountServiceAccountToken is %v", who, token)
	}
	if seccomp := at(spec, "securityContext", "seccompProfile", "type"); seccomp != "RuntimeDefault" {
		t.Errorf("%s: seccomp profile is %v", who, seccomp)
	}
	for _, key := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		if v := at(spec, key); v != nil {
			t.Errorf("%s: %s is %v", who, key, v)
		}
	}
	containers, _ := at(spec, "containers").([]any)
	for _, c := range containers {
		context := at(c, "securityContext")
		want := map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
			"capabilities": map[string]any{"drop": []any{"ALL"}},
		}
		if diff := cmp.Diff(want, plain(context)); diff != "" {
			t.Errorf("%s: container's security context (-want +is):\n%s", who, diff)
		}
	}
	volumes, _ := at(spec, "volumes").([]any)
	for _, v := range volumes {
		path, _ := at(v, "hostPath", "path").(string)
		if path != "" && (!agent || !slices.Contains([]string{"/", "/run/containerd", "/var/log/pods", "/var/lib/crowsnest/monitoring-crowsnest"}, path)) {
			t.Errorf("%s mounts the node's %s", who, path)
		}
	}
}

// plain makes nested objects maps.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		return plain(map[string]any(v))
	case map[string]any:
		m := map[string]any{}
		for key, value := range v {
			m[key] = plain(value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			list[i] = plain(value)
		}
		return list
	}
	return v
}

func TestCertificateIsForTheNameThatAgentsVerify(t *testing.T) {
	objects := decode(t, render(t, "quickstart"))
	variables, _ := at(container(workload(objects, "agent")), "env").([]any)
	var host string
	for _, v := range variables {
		if at(v, "name") == "CROWSNEST_AGGREGATOR_SERVER_NAME" {
			host, _ = at(v, "value").(string)
		}
	}
	names := verifyCertificates(t, objects)
	if !slices.Contains(names, host) {
		t.Errorf("agents verify %q; the certificate is for %q", host, names)
	}
}

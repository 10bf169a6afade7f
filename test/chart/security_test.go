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
			for _, resource := range at(rule, "resources").([]any) {
				for _, verb := range at(rule, "verbs").([]any) {
					granted = append(granted, fmt.Sprintf("%s %s%v", verb, at(rule, "apiGroups", 0), resource))
				}
			}
		}
	}
	sort.Strings(granted)
	return granted
}

// The table in the README says why each is needed.
func TestPermissionsAreTheFewThatAreNeeded(t *testing.T) {
	for _, test := range []struct {
		values []string
		want   []string
	}{
		{nil, []string{"get nodes/metrics", "get pods", "list pods", "watch pods"}},
		{[]string{"--set", "signals.metrics=false"}, []string{"get pods", "list pods", "watch pods"}},
		{[]string{"--set", "agent.podSource=kubelet"}, []string{"get nodes/metrics", "get nodes/pods"}},
		{[]string{"--set", "agent.podSource=kubelet,agent.kubelet.grantNodesProxy=true"},
			[]string{"get nodes/metrics", "get nodes/pods", "get nodes/proxy"}},
		{[]string{"--set", "quickstart.enabled=true"}, []string{"get nodes/metrics", "get pods", "list pods", "watch pods"}},
	} {
		manifests := mustTemplate(t, append([]string{"--values", valuesFile("default")}, test.values...)...)
		if diff := cmp.Diff(test.want, permissions(decode(t, manifests))); diff != "" {
			t.Errorf("%v: permissions (-want +granted):\n%s", test.values, diff)
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
	if token := at(spec, "automountServiceAccountToken"); token != agent {
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
		if path != "" && (!agent || !slices.Contains([]string{"/var/log/pods", "/var/lib/crowsnest/monitoring-crowsnest"}, path)) {
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

func TestCertificateIsForTheNameThatAgentsDial(t *testing.T) {
	objects := decode(t, render(t, "quickstart"))
	variables, _ := at(container(workload(objects, "agent")), "env").([]any)
	var host string
	for _, v := range variables {
		if at(v, "name") == "CROWSNEST_AGGREGATOR_ENDPOINT" {
			endpoint, _ := at(v, "value").(string)
			host = strings.TrimSuffix(endpoint, ":4317")
		}
	}
	names := verifyCertificates(t, objects)
	if !slices.Contains(names, host) {
		t.Errorf("agents dial %q; the certificate is for %q", host, names)
	}
}

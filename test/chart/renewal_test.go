package chart

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A cluster whose certificates are old is not to be had in a test's time, so
// Helm's lookup is answered by secrets that pretend to be.

// served are the kinds of the default render, by API version.
var served = map[string]map[string]string{
	"v1":                           {"Secret": "secrets", "ConfigMap": "configmaps", "Service": "services", "ServiceAccount": "serviceaccounts", "Pod": "pods"},
	"apps/v1":                      {"DaemonSet": "daemonsets", "Deployment": "deployments"},
	"autoscaling/v2":               {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
	"policy/v1":                    {"PodDisruptionBudget": "poddisruptionbudgets"},
	"rbac.authorization.k8s.io/v1": {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "Role": "roles", "RoleBinding": "rolebindings"},
	"scheduling.k8s.io/v1":         {"PriorityClass": "priorityclasses"},
}

var clusterWide = map[string]bool{"ClusterRole": true, "ClusterRoleBinding": true, "PriorityClass": true}

// apiServer answers what `helm template --dry-run=server` asks: which APIs
// there are, and the secrets by name.
func apiServer(t *testing.T, secrets map[string]object) (url string) {
	t.Helper()
	answers := map[string]any{"/version": object{"major": "1", "minor": "37", "gitVersion": "v1.37.2"}}
	var groups []any
	for version, kinds := range served {
		path := "/apis/" + version
		group, short, grouped := strings.Cut(version, "/")
		if grouped {
			versions := object{"groupVersion": version, "version": short}
			groups = append(groups, object{"name": group, "versions": []any{versions}, "preferredVersion": versions})
		} else {
			path = "/api/" + version
			answers["/api"] = object{"kind": "APIVersions", "versions": []string{version}}
		}
		var resources []any
		for kind, name := range kinds {
			resources = append(resources, object{"name": name, "kind": kind, "namespaced": !clusterWide[kind], "verbs": []string{"get"}})
		}
		answers[path] = object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
	}
	answers["/apis"] = object{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer, known := answers[strings.TrimSuffix(r.URL.Path, "/")]
		if name, isSecret := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/monitoring/secrets/"); isSecret && secrets[name] != nil {
			answer, known = secrets[name], true
		}
		if !known {
			w.WriteHeader(http.StatusNotFound)
			answer = object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound}
		}
		json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// upgrade renders again, where the secrets of an earlier render are.
func upgrade(t *testing.T, secrets map[string]object, args ...string) map[string]object {
	t.Helper()
	return secretsOf(t, mustTemplate(t, append([]string{"--values", valuesFile("default"),
		"--is-upgrade", "--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", apiServer(t, secrets)}, args...)...))
}

func install(t *testing.T, args ...string) map[string]object {
	t.Helper()
	return secretsOf(t, mustTemplate(t, append([]string{"--values", valuesFile("default")}, args...)...))
}

func secretsOf(t *testing.T, manifests string) map[string]object {
	t.Helper()
	secrets := map[string]object{}
	for _, o := range decode(t, manifests) {
		if o.kind() == "Secret" {
			secrets[o.name()] = o
		}
	}
	if len(secrets) != 3 {
		t.Fatalf("render has %d secrets, want 3", len(secrets))
	}
	return secrets
}

// endsIn changes what the annotation says of a secret.
func endsIn(t *testing.T, secret object, left time.Duration) {
	t.Helper()
	annotations, ok := at(secret, "metadata", "annotations").(object)
	if !ok {
		t.Fatalf("%s has no annotations", secret.name())
	}
	annotations["crowsnest.io/certificate-expires"] = time.Now().Add(left).UTC().Format(time.RFC3339)
}

const day = 24 * time.Hour

func TestUpgradeKeepsCertificates(t *testing.T) {
	before := install(t)
	if diff := cmp.Diff(before, upgrade(t, before)); diff != "" {
		t.Errorf("secrets changed by an upgrade:\n%s", diff)
	}
}

func TestUpgradeRenewsWhatEndsSoon(t *testing.T) {
	before := install(t)
	endsIn(t, before["crowsnest-agent-tls"], 364*day)
	endsIn(t, before["crowsnest-aggregator-tls"], 366*day)
	after := upgrade(t, before)
	if diff := cmp.Diff(before["crowsnest-aggregator-tls"], after["crowsnest-aggregator-tls"]); diff != "" {
		t.Errorf("renewed with 366 days left:\n%s", diff)
	}
	if cmp.Equal(before["crowsnest-agent-tls"], after["crowsnest-agent-tls"]) {
		t.Error("not renewed with 364 days left")
	}
	if diff := cmp.Diff(before["crowsnest-ca"], after["crowsnest-ca"]); diff != "" {
		t.Errorf("the authority changed, so pods with the old one would refuse the new certificate:\n%s", diff)
	}
	certificate := parseCertificate(t, after["crowsnest-agent-tls"], "tls.crt")
	roots := x509.NewCertPool()
	roots.AddCert(parseCertificate(t, before["crowsnest-ca"], "tls.crt"))
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("renewed certificate: %v", err)
	}
	checkExpiryAnnotation(t, after["crowsnest-agent-tls"], certificate)
}

func TestUpgradeRenewsAnAuthorityThatEndsBeforeItsCertificates(t *testing.T) {
	before := install(t)
	endsIn(t, before["crowsnest-ca"], 1094*day)
	after := upgrade(t, before)
	for name := range before {
		if cmp.Equal(before[name], after[name]) {
			t.Errorf("%s did not change", name)
		}
	}
	if parseCertificate(t, after["crowsnest-ca"], "tls.crt").NotAfter.Before(time.Now().Add(3649 * day)) {
		t.Error("the new authority is not for ten years")
	}
}

func TestUpgradeAddsServerNames(t *testing.T) {
	before := install(t)
	after := upgrade(t, before, "--set", "aggregator.extraServerNames={crowsnest.example.com,192.0.2.10}")
	certificate := parseCertificate(t, after["crowsnest-aggregator-tls"], "tls.crt")
	for _, name := range []string{"crowsnest.example.com", "192.0.2.10", "crowsnest-aggregator.monitoring.svc"} {
		if err := certificate.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(before["crowsnest-agent-tls"], after["crowsnest-agent-tls"]); diff != "" {
		t.Errorf("the agents' certificate changed, too:\n%s", diff)
	}
}

// Somebody edited or emptied them; the upgrade mends what it can.
func TestUpgradeReplacesDamagedSecrets(t *testing.T) {
	for what, damage := range map[string]func(map[string]object){
		"authority without a key": func(s map[string]object) { delete(s["crowsnest-ca"]["data"].(object), "tls.key") },
		"authority without annotations": func(s map[string]object) {
			delete(s["crowsnest-ca"]["metadata"].(object), "annotations")
		},
		"certificate without a key": func(s map[string]object) { delete(s["crowsnest-agent-tls"]["data"].(object), "tls.key") },
		"certificate without annotations": func(s map[string]object) {
			delete(s["crowsnest-aggregator-tls"]["metadata"].(object), "annotations")
		},
		"secret without data": func(s map[string]object) { delete(s["crowsnest-agent-tls"], "data") },
		"one secret gone":     func(s map[string]object) { delete(s, "crowsnest-aggregator-tls") },
	} {
		secrets := install(t)
		damage(secrets)
		var objects []object
		for _, secret := range upgrade(t, secrets) {
			objects = append(objects, secret)
		}
		t.Run(what, func(t *testing.T) { verifyCertificates(t, objects) })
	}
}

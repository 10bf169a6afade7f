//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// lack is why a family may be absent.
type lack struct {
	reason string
	// holds says whether the reason does, for the family, here and now.
	holds func(*installation, *testing.T, family) bool
}

// onNode is a reason that a shell command on the first node finds to hold.
func onNode(command string) func(*installation, *testing.T, family) bool {
	return func(in *installation, t *testing.T, _ family) bool {
		return strings.TrimSpace(in.inNode(t, 1, `if `+command+`; then echo yes; fi`)) == "yes"
	}
}

var lacks = map[string]lack{
	"raid":     {"the node has no software RAID", onNode(`! grep -qs '^md' /proc/mdstat`)},
	"bonding":  {"the node has no bonded interface", onNode(`! test -s /sys/class/net/bonding_masters`)},
	"systemd":  {"the node has no systemd; elsewhere enable node_exporter's collector of that name", onNode(`! test -S /run/systemd/private`)},
	"throttle": {"the CPUs do not tell of throttling", onNode(`! ls -d /sys/devices/system/cpu/cpu0/thermal_throttle >/dev/null 2>&1`)},
	"page":     {"its source offers none: such an event was not yet, or the machine does not tell", notOnPage},
	"endpoints": {"Endpoints are deprecated; kube_endpointslice_* tell the same, kubestate's resources has these, too",
		func(in *installation, t *testing.T, _ family) bool {
			found, err := in.prometheus.Query(t.Context(), `kube_endpointslice_info`)
			return err == nil && len(found) > 0
		}},
	"reloader": {"made by the Prometheus operator's config reloader, which is no part of Crowsnest",
		func(in *installation, t *testing.T, _ family) bool {
			return !strings.Contains(in.kubectl(t, "get", "pods", "--all-namespaces", "--output=jsonpath={.items[*].spec.containers[*].image}"), "config-reloader")
		}},
	"alerts": {"no alert fires",
		func(in *installation, t *testing.T, _ family) bool {
			var answer struct {
				Data struct{ Alerts []struct{ State string } }
			}
			if err := in.prometheus.Get(t.Context(), "/api/v1/alerts", nil, &answer); err != nil {
				t.Fatal(err)
			}
			for _, a := range answer.Data.Alerts {
				if a.State == "firing" {
					return false
				}
			}
			return true
		}},
}

// notOnPage: the page that it would come from does not have such a series.
func notOnPage(in *installation, t *testing.T, f family) bool {
	page, err := in.sourcePage(t.Context(), f.job, f.path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(page) {
		labels, ok := strings.CutPrefix(line, f.name+"{")
		if !ok {
			if strings.HasPrefix(line, f.name+" ") {
				return false
			}
			continue
		}
		// cAdvisor has such families of cgroups that are no containers, too.
		if !strings.HasPrefix(f.name, "container_") || !strings.Contains(labels, `container=""`) {
			return false
		}
	}
	return true
}

// sourcePage is what a program of the first node tells at this moment.
func (in *installation) sourcePage(ctx context.Context, job, path string) (string, error) {
	switch job {
	case "kubelet":
		page, err := in.get(ctx, "/api/v1/nodes/"+in.nodes[0]+"/proxy"+path, nil)
		return string(page), err
	case "apiserver":
		page, err := in.get(ctx, "/metrics", nil)
		return string(page), err
	}
	port, known := map[string]string{"kube-scheduler": "10259", "kube-controller-manager": "10257"}[job]
	if !known {
		return "", fmt.Errorf("job %q has no page", job)
	}
	token, err := in.cluster.Kubectl(ctx, "--namespace", namespace, "create", "token", release+"-agent").Output()
	if err != nil {
		return "", fmt.Errorf("create token: %w", err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // self-signed
	defer transport.CloseIdleConnections()
	code, page, err := get(ctx, &http.Client{Transport: transport}, "https://"+in.addresses[0]+":"+port+"/metrics", strings.TrimSpace(string(token)))
	if err == nil && code != http.StatusOK {
		err = errors.New(string(page))
	}
	if err != nil {
		return "", fmt.Errorf("read page of %s: HTTP %d: %w", job, code, err)
	}
	return string(page), nil
}

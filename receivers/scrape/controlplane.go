package scrape

import (
	"fmt"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// part is a component of Kubernetes that runs as a pod on some nodes.
type part struct {
	job     string // as kube-prometheus-stack calls it
	label   string
	values  []string // of the label, one of which its pods bear
	scheme  string
	port    uint16
	trusted bool // gets the token, so must be a static pod
}

var parts = []part{
	{job: "kube-scheduler", label: "component", values: []string{"kube-scheduler"}, scheme: "https", port: 10259, trusted: true},
	{job: "kube-controller-manager", label: "component", values: []string{"kube-controller-manager"}, scheme: "https", port: 10257, trusted: true},
	{job: "kube-etcd", label: "component", values: []string{"etcd"}, scheme: "http", port: 2381},
	{job: "kube-proxy", label: "k8s-app", values: []string{"kube-proxy"}, scheme: "http", port: 10249},
	{job: "coredns", label: "k8s-app", values: []string{"kube-dns", "coredns"}, scheme: "http", port: 9153},
}

// componentOf finds which component of the control plane a pod is.
func componentOf(p *kubemeta.Pod) (*part, bool) {
	if p.Namespace != "kube-system" {
		return nil, false
	}
	for i := range parts {
		c := &parts[i]
		for _, value := range c.values {
			if p.Labels[c.label] == value && (!c.trusted || p.ConfigHash != "") {
				return c, true
			}
		}
	}
	return nil, false
}

// componentTarget is how a component is scraped. Many listen on the node's
// loopback only (kubeadm's defaults), which is in reach of an agent on the
// host's network: that address is tried second.
func (r *scrapeReceiver) componentTarget(c *part, p *kubemeta.Pod) (*target, error) {
	j := r.job("control_plane/"+c.job, sourceControlPlane)
	j.scheme, j.tentative = c.scheme, true
	if c.trusted {
		// Their certificates are self-signed and name localhost (kubeadm).
		j.http.TLSConfig = promconfig.TLSConfig{InsecureSkipVerify: true}
		j.http.Authorization = bearer(r.cfg.TokenFile)
	}
	found := map[string]string{
		model.AddressLabel: hostPort(p.IPs[0], c.port),
		"job":              c.job,
		"namespace":        p.Namespace,
		"pod":              p.Name,
		"node":             p.NodeName,
		"endpoint":         "http-metrics",
	}
	if only, ok := p.OnlyContainer(); ok {
		found["container"] = only.Name
	}
	if p.HostNetwork {
		return newTarget(j, found, fmt.Sprintf("127.0.0.1:%d", c.port))
	}
	return newTarget(j, found)
}

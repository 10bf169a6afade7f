package scrape

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// apiServers finds the API servers behind the Service default/kubernetes.
type apiServers struct {
	receiver *scrapeReceiver
	cluster  *cluster

	mu        sync.RWMutex // guards what follows
	leading   bool
	addresses []string
	changes   uint64
}

// addressInterval is how often the addresses are read; API servers come and
// go with the nodes they run on.
const addressInterval = 30 * time.Second

// apiServerDrops are the series that kube-prometheus-stack drops, too: fine
// buckets, of which an API server has tens of thousands. The rules of
// kubernetes-mixin read le 1, 5 and 30; these, 10 and 60 stay.
var apiServerDrops = []*relabel.Config{{
	SourceLabels: model.LabelNames{"__name__", "le"},
	Separator:    ";",
	Regex: relabel.MustNewRegexp(`(etcd_request|apiserver_request_slo|apiserver_request_sli|apiserver_request)_duration_seconds_bucket;` +
		`(0\.15|0\.2|0\.3|0\.35|0\.4|0\.45|0\.6|0\.7|0\.8|0\.9|1\.25|1\.5|1\.75|2|3|3\.5|4|4\.5|6|7|8|9|15|20|40|45|50)(\.0)?`),
	Action:               relabel.Drop,
	NameValidationScheme: model.UTF8Validation,
}}

// connect prepares what needs the API server.
func (r *scrapeReceiver) connect() error {
	if !r.cfg.Monitors && !r.cfg.APIServer {
		return nil
	}
	config, err := kubeapi.ClusterConfig(r.cfg.Kubeconfig)
	if errors.Is(err, kubeapi.ErrNotInCluster) {
		r.settings.Logger.Warn("Not in a cluster: monitors and API servers are not scraped; set kubeconfig to scrape those of a cluster from outside")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read how to reach the API server: %w", err)
	}
	config.UserAgent = r.settings.BuildInfo.Command + "/" + r.settings.BuildInfo.Version
	if r.cluster, err = newCluster(config, r.settings.Logger); err != nil {
		return err
	}
	if r.cfg.Monitors {
		r.monitors = newMonitors(r)
	}
	if r.cfg.APIServer {
		r.apis = &apiServers{receiver: r, cluster: r.cluster}
	}
	return nil
}

// run reads the addresses for as long as this process leads.
func (a *apiServers) run(ctx context.Context) {
	defer a.set(false, nil)
	for {
		a.set(true, a.read(ctx))
		if !kubeapi.Pause(ctx, addressInterval) {
			return
		}
	}
}

func (a *apiServers) set(leading bool, addresses []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if leading != a.leading || addresses != nil && !slices.Equal(addresses, a.addresses) {
		a.changes++
	}
	a.leading = leading
	if addresses != nil {
		a.addresses = addresses
	}
}

func (a *apiServers) leads() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.leading
}

func (a *apiServers) version() uint64 {
	if a == nil {
		return 0
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.changes
}

// read asks for the endpoints; without them (no permission, or a managed
// control plane that hides them) there is the address by which we ask.
func (a *apiServers) read(ctx context.Context) []string {
	var list struct {
		Items []struct {
			Ports []struct {
				Name string `json:"name"`
				Port uint16 `json:"port"`
			} `json:"ports"`
			Endpoints []struct {
				Addresses []string `json:"addresses"`
			} `json:"endpoints"`
		} `json:"items"`
	}
	err := a.cluster.get(ctx, "apis/discovery.k8s.io/v1/namespaces/default/endpointslices", url.Values{"labelSelector": {"kubernetes.io/service-name=kubernetes"}}, &list)
	var found []string
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			for _, port := range slice.Ports {
				for _, address := range endpoint.Addresses {
					found = append(found, net.JoinHostPort(address, strconv.Itoa(int(port.Port))))
				}
			}
		}
	}
	slices.Sort(found)
	if len(found) > 0 {
		return slices.Compact(found)
	}
	if ctx.Err() == nil && err != nil && len(a.addresses) == 0 {
		a.receiver.complaints.Warn("endpoints", "Cannot read the endpoints of the API servers; they are scraped by their Service's address", zap.Error(err),
			zap.String("remedy", "grant get and list on endpointslices in the namespace default"))
	}
	if err != nil && len(a.addresses) > 0 {
		return nil // those known stay
	}
	return []string{a.own()}
}

// own is the address by which we reach the API server.
func (a *apiServers) own() string {
	if strings.Contains(a.cluster.base.Host, ":") {
		return a.cluster.base.Host
	}
	return net.JoinHostPort(a.cluster.base.Host, "443")
}

// targets have the labels that kube-prometheus gives them.
func (a *apiServers) targets() []*target {
	if a == nil {
		return nil
	}
	a.mu.RLock()
	leading, addresses := a.leading, a.addresses
	a.mu.RUnlock()
	if !leading {
		return nil
	}
	j := a.job()
	var all []*target
	for _, address := range addresses {
		t, err := newTarget(j, map[string]string{
			model.AddressLabel: address,
			"job":              "apiserver",
			"namespace":        "default",
			"service":          "kubernetes",
			"endpoint":         "https",
		})
		if err != nil {
			a.receiver.refuse(j, "address", err)
			continue
		}
		all = append(all, t)
	}
	return all
}

func (a *apiServers) job() *job {
	j := a.receiver.job("control_plane/apiserver", sourceControlPlane)
	j.scheme, j.tentative = "https", true
	j.metricRules = apiServerDrops
	j.stays = func() bool { return !a.leads() }
	// The servers' certificates name the Service, and not always each address.
	config := rest.CopyConfig(a.cluster.config)
	if config.ServerName == "" && !config.Insecure {
		config.ServerName = "kubernetes.default.svc"
	}
	if c := a.receiver.cfg; c.Kubeconfig == "" {
		config.BearerToken, config.BearerTokenFile = "", c.TokenFile
		config.CAData, config.CAFile = nil, c.CAFile
	}
	j.rest = config
	j.limits.samples = max(j.limits.samples, apiServerSamples)
	return j
}

// apiServerSamples is the least bound of an API server's page: with thousands
// of kinds and clients it has more series than any application.
const apiServerSamples = 200_000

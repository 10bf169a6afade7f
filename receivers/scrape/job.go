package scrape

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"k8s.io/client-go/rest"
)

// The sources of targets, values of the label "source".
const (
	sourceStatic         = "static"
	sourceAnnotations    = "annotations"
	sourcePodMonitor     = "podmonitor"
	sourceServiceMonitor = "servicemonitor"
	sourceControlPlane   = "control_plane"
)

// job is how the targets of one origin are scraped. It does not change; a new
// version replaces it.
type job struct {
	id      string // unique among the jobs of a receiver
	version string // another for each change
	source  string

	scheme   string
	path     string
	params   url.Values
	interval time.Duration
	timeout  time.Duration

	honorLabels     bool
	honorTimestamps bool
	native          bool
	classic         bool
	escaping        string // of names, as Prometheus calls the schemes; empty: none
	// tentative targets may be out of reach by design: they have no series but
	// crowsnest_control_plane_scrapable until they answered once.
	tentative bool

	http        promconfig.HTTPClientConfig
	limits      limits
	maxBody     int
	targetLimit int // 0: none

	targetRules []*relabel.Config
	metricRules []*relabel.Config

	// foreign: the addresses are somebody's who is not the agent's administrator.
	foreign bool
	// rest, if set, is how the client is made instead of by http.
	rest *rest.Config
	// stays, if set, says that the job's targets go on elsewhere when they end
	// here, so that their series must not be marked as gone.
	stays func() bool

	client *http.Client // made by open
	err    error        // why it could not be
}

// open makes the client. Nothing is dialled yet.
func (j *job) open() error {
	if j.rest != nil {
		client, err := rest.HTTPClientFor(j.rest)
		if err != nil {
			return fmt.Errorf("make HTTP client: %w", err)
		}
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		j.client = client
		return nil
	}
	if err := j.http.Validate(); err != nil {
		return fmt.Errorf("make HTTP client: %w", err)
	}
	options := []promconfig.HTTPClientOption{promconfig.WithUserAgent("crowsnest")}
	if j.foreign {
		options = append(options, promconfig.WithDialContextFunc(dialOthers))
	}
	client, err := promconfig.NewClientFromConfig(j.http, "scrape", options...)
	if err != nil {
		return fmt.Errorf("make HTTP client: %w", err)
	}
	if j.http.FollowRedirects {
		client.CheckRedirect = redirect
	}
	j.client = client
	return nil
}

// redirect follows only to the same host: a pod must not make the agent, which
// may be on the host's network, ask others in its stead.
func redirect(to *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects || to.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

func (j *job) close() {
	if j.client != nil {
		j.client.CloseIdleConnections()
	}
}

// target is one page to scrape.
type target struct {
	key    string
	job    *job
	labels labels.Labels // that its series get
	urls   []string      // in the order in which they are tried
	err    error         // forced: the target is not scraped, and why
}

// newTarget makes a target of discovered labels as Prometheus does: defaults,
// relabelling, then what begins with "__" is taken off. nil: relabelling drops it.
func newTarget(j *job, discovered map[string]string, further ...string) (*target, error) {
	b := labels.NewBuilder(labels.FromMap(discovered))
	setDefault(b, model.SchemeLabel, j.scheme)
	setDefault(b, model.MetricsPathLabel, j.path)
	setDefault(b, model.JobLabel, j.id)
	for name, values := range j.params {
		if len(values) > 0 {
			setDefault(b, model.ParamLabelPrefix+name, values[0])
		}
	}
	if !relabel.ProcessBuilder(b, j.targetRules...) {
		return nil, nil
	}
	address := b.Get(model.AddressLabel)
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	setDefault(b, model.InstanceLabel, address)
	t := &target{job: j, urls: []string{j.url(b, address)}}
	for _, host := range further {
		t.urls = append(t.urls, j.url(b, host))
	}
	for _, u := range t.urls {
		if _, err := url.Parse(u); err != nil {
			return nil, fmt.Errorf("make URL: %w", err)
		}
	}
	b.Range(func(l labels.Label) {
		if isInternal(l.Name) {
			b.Del(l.Name)
		}
	})
	t.labels = b.Labels()
	if err := t.labels.Validate(func(l labels.Label) error {
		if !model.LabelValue(l.Value).IsValid() || !model.UTF8Validation.IsValidLabelName(l.Name) {
			return fmt.Errorf("invalid label %q=%q", l.Name, l.Value)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	t.key = j.id + "\xff" + t.labels.String() + "\xff" + t.urls[0]
	return t, nil
}

func setDefault(b *labels.Builder, name, value string) {
	if b.Get(name) == "" {
		b.Set(name, value)
	}
}

func checkAddress(address string) error {
	switch {
	case address == "":
		return errors.New("target has no address")
	case strings.ContainsAny(address, "/?#@ "):
		return fmt.Errorf("address %q is not of the form host:port", address)
	}
	return nil
}

// url joins the parts; of each parameter the first value may come from a label.
func (j *job) url(b *labels.Builder, address string) string {
	params := url.Values{}
	for name, values := range j.params {
		params[name] = append([]string(nil), values...)
	}
	b.Range(func(l labels.Label) {
		if name, ok := strings.CutPrefix(l.Name, model.ParamLabelPrefix); ok {
			if len(params[name]) == 0 {
				params[name] = []string{""}
			}
			params[name][0] = l.Value
		}
	})
	u := url.URL{Scheme: b.Get(model.SchemeLabel), Host: address, Path: b.Get(model.MetricsPathLabel), RawQuery: params.Encode()}
	return u.String()
}

// hostPort writes an address as Prometheus' discovery does.
func hostPort(ip netip.Addr, port uint16) string {
	return net.JoinHostPort(ip.String(), fmt.Sprint(port))
}

package scrape

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/units"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// monitor is a PodMonitor or a ServiceMonitor of monitoring.coreos.com/v1, as
// far as it is understood:
// https://prometheus-operator.dev/docs/api-reference/api/
type monitor struct {
	metadata `json:"metadata"`
	Spec     monitorSpec `json:"spec"`
}

type monitorSpec struct {
	JobLabel          string               `json:"jobLabel"`
	TargetLabels      []string             `json:"targetLabels"` // ServiceMonitor only
	PodTargetLabels   []string             `json:"podTargetLabels"`
	PodEndpoints      []endpoint           `json:"podMetricsEndpoints"` // PodMonitor only
	Endpoints         []endpoint           `json:"endpoints"`           // ServiceMonitor only
	Selector          metav1.LabelSelector `json:"selector"`
	NamespaceSelector struct {
		Any        bool     `json:"any"`
		MatchNames []string `json:"matchNames"`
	} `json:"namespaceSelector"`
	SampleLimit           uint64 `json:"sampleLimit"`
	TargetLimit           uint64 `json:"targetLimit"`
	LabelLimit            uint64 `json:"labelLimit"`
	LabelNameLengthLimit  uint64 `json:"labelNameLengthLimit"`
	LabelValueLengthLimit uint64 `json:"labelValueLengthLimit"`
	BodySizeLimit         string `json:"bodySizeLimit"`
	NativeHistograms      *bool  `json:"scrapeNativeHistograms"`
	ClassicHistograms     *bool  `json:"scrapeClassicHistograms"`
}

type endpoint struct {
	Port              string              `json:"port"`
	PortNumber        uint16              `json:"portNumber"` // PodMonitor only
	TargetPort        *intstr.IntOrString `json:"targetPort"`
	Path              string              `json:"path"`
	Scheme            string              `json:"scheme"`
	Params            map[string][]string `json:"params"`
	Interval          string              `json:"interval"`
	ScrapeTimeout     string              `json:"scrapeTimeout"`
	HonorLabels       bool                `json:"honorLabels"`
	HonorTimestamps   *bool               `json:"honorTimestamps"`
	FollowRedirects   *bool               `json:"followRedirects"`
	EnableHTTP2       *bool               `json:"enableHttp2"`
	FilterRunning     *bool               `json:"filterRunning"`
	Relabelings       []relabeling        `json:"relabelings"`
	MetricRelabelings []relabeling        `json:"metricRelabelings"`

	BasicAuth *struct {
		Username keySelector `json:"username"`
		Password keySelector `json:"password"`
	} `json:"basicAuth"`
	Authorization *struct {
		Type        string       `json:"type"`
		Credentials *keySelector `json:"credentials"`
	} `json:"authorization"`
	BearerTokenSecret *keySelector    `json:"bearerTokenSecret"`
	BearerTokenFile   string          `json:"bearerTokenFile"`
	TLSConfig         *tlsConfig      `json:"tlsConfig"`
	OAuth2            json.RawMessage `json:"oauth2"`
	ProxyURL          string          `json:"proxyUrl"`
	ProxyFromEnv      bool            `json:"proxyFromEnvironment"`
}

// keySelector names an entry of a Secret or ConfigMap in the monitor's namespace.
type keySelector struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type secretOrConfigMap struct {
	Secret    *keySelector `json:"secret"`
	ConfigMap *keySelector `json:"configMap"`
}

type tlsConfig struct {
	CA                 secretOrConfigMap `json:"ca"`
	Cert               secretOrConfigMap `json:"cert"`
	KeySecret          *keySelector      `json:"keySecret"`
	ServerName         string            `json:"serverName"`
	InsecureSkipVerify bool              `json:"insecureSkipVerify"`
	CAFile             string            `json:"caFile"`
	CertFile           string            `json:"certFile"`
	KeyFile            string            `json:"keyFile"`
}

type relabeling struct {
	SourceLabels []string `json:"sourceLabels"`
	Separator    *string  `json:"separator"`
	TargetLabel  string   `json:"targetLabel"`
	Regex        *string  `json:"regex"`
	Modulus      uint64   `json:"modulus"`
	Replacement  *string  `json:"replacement"`
	Action       string   `json:"action"`
}

// rule is the relabeling in Prometheus' terms.
func (r *relabeling) rule() (*relabel.Config, error) {
	rule := relabel.DefaultRelabelConfig
	for _, name := range r.SourceLabels {
		rule.SourceLabels = append(rule.SourceLabels, model.LabelName(name))
	}
	if r.Separator != nil {
		rule.Separator = *r.Separator
	}
	if r.Regex != nil {
		regex, err := relabel.NewRegexp(*r.Regex)
		if err != nil {
			return nil, fmt.Errorf("regex %q: %w", *r.Regex, err)
		}
		rule.Regex = regex
	}
	if r.Replacement != nil {
		rule.Replacement = *r.Replacement
	}
	if r.Action != "" {
		// Its own decoder, since a rule of an unknown action panics when it is applied.
		if err := rule.Action.UnmarshalYAML(func(to any) error { *to.(*string) = r.Action; return nil }); err != nil {
			return nil, err
		}
	}
	rule.TargetLabel, rule.Modulus = r.TargetLabel, r.Modulus
	if err := rule.Validate(model.UTF8Validation); err != nil {
		return nil, err
	}
	return &rule, nil
}

func rulesOf(all []relabeling) ([]*relabel.Config, error) {
	var rules []*relabel.Config
	for i := range all {
		rule, err := all[i].rule()
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// compiled is a monitor ready to be matched against pods.
type compiled struct {
	source     string
	monitor    *monitor
	selector   labels.Selector
	namespaces []string // nil: any
	endpoints  []compiledEndpoint
}

type compiledEndpoint struct {
	*endpoint
	job *job
}

// refusal is why an endpoint of a monitor is not scraped.
type refusal struct {
	job    *job
	reason string
	err    error
}

// secrets reads an entry of a Secret or ConfigMap ("secrets" or "configmaps") in
// the monitor's namespace.
type secrets func(c *compiled, kind string, k keySelector) (string, error)

// compile makes what can be made of a monitor; each endpoint stands for itself.
func (r *scrapeReceiver) compile(m *monitor, source string, read secrets) (*compiled, []refusal) {
	c := &compiled{source: source, monitor: m}
	var err error
	if c.selector, err = metav1.LabelSelectorAsSelector(&m.Spec.Selector); err != nil {
		return nil, []refusal{{r.job(source+"/"+keyOf(&m.metadata), source), "invalid", fmt.Errorf("selector: %w", err)}}
	}
	switch ns := m.Spec.NamespaceSelector; {
	case ns.Any:
	case len(ns.MatchNames) > 0:
		c.namespaces = ns.MatchNames
	default:
		c.namespaces = []string{m.Namespace}
	}
	endpoints := m.Spec.PodEndpoints
	name := "podMonitor"
	if source == sourceServiceMonitor {
		endpoints, name = m.Spec.Endpoints, "serviceMonitor"
	}
	var refused []refusal
	for i := range endpoints {
		j := r.job(fmt.Sprintf("%s/%s/%s/%d", name, m.Namespace, m.Name, i), source)
		j.foreign = true
		if reason, err := r.configure(j, c, &endpoints[i], read); err != nil {
			refused = append(refused, refusal{j, reason, err})
			continue
		}
		c.endpoints = append(c.endpoints, compiledEndpoint{&endpoints[i], j})
	}
	return c, refused
}

// The reasons for which an endpoint is not scraped.
const (
	refusedInvalid     = "invalid"
	refusedUnsupported = "unsupported"
	refusedSecret      = "secret"
)

func (r *scrapeReceiver) configure(j *job, c *compiled, e *endpoint, read secrets) (reason string, err error) {
	m := c.monitor
	if err := e.unsupported(); err != nil {
		return refusedUnsupported, err
	}
	if err := r.schedule(j, e); err != nil {
		return refusedInvalid, err
	}
	if err := r.bound(j, &m.Spec); err != nil {
		return refusedInvalid, err
	}
	if j.targetRules, err = rulesOf(e.Relabelings); err != nil {
		return refusedInvalid, fmt.Errorf("relabelings%w", err)
	}
	if j.metricRules, err = rulesOf(e.MetricRelabelings); err != nil {
		return refusedInvalid, fmt.Errorf("metricRelabelings%w", err)
	}
	j.scheme, j.path = strings.ToLower(cmp.Or(e.Scheme, "http")), cmp.Or(e.Path, "/metrics")
	j.params = url.Values(e.Params)
	j.honorLabels = e.HonorLabels
	j.honorTimestamps = e.HonorTimestamps == nil || *e.HonorTimestamps
	j.http.FollowRedirects = e.FollowRedirects == nil || *e.FollowRedirects
	j.http.EnableHTTP2 = e.EnableHTTP2 == nil || *e.EnableHTTP2
	secret, err := e.authenticate(j, c, read)
	if err != nil {
		return refusedSecret, err
	}
	j.version = m.UID + "/" + m.ResourceVersion + "/" + secret
	return "", nil
}

// unsupported tells what would read this machine's files or needs more than a
// client: the agent is root on its node, and a monitor's author is not.
func (e *endpoint) unsupported() error {
	t := e.TLSConfig
	switch {
	case e.BearerTokenFile != "", t != nil && (t.CAFile != "" || t.CertFile != "" || t.KeyFile != ""):
		return fmt.Errorf("bearerTokenFile, caFile, certFile and keyFile would read files of the agent's machine; use secrets")
	case len(e.OAuth2) > 0 && string(e.OAuth2) != "null":
		return fmt.Errorf("oauth2 is not supported")
	case e.ProxyURL != "" || e.ProxyFromEnv:
		return fmt.Errorf("proxyUrl and proxyFromEnvironment are not supported: pods are scraped on their own node")
	}
	return nil
}

func (r *scrapeReceiver) schedule(j *job, e *endpoint) error {
	for _, d := range []struct {
		key, text string
		to        *time.Duration
	}{{"interval", e.Interval, &j.interval}, {"scrapeTimeout", e.ScrapeTimeout, &j.timeout}} {
		if d.text == "" {
			continue
		}
		v, err := model.ParseDuration(d.text)
		if err != nil {
			return fmt.Errorf("%s: %w", d.key, err)
		}
		*d.to = time.Duration(v)
	}
	if e.ScrapeTimeout == "" {
		j.timeout = min(j.timeout, j.interval)
	}
	return validateTimes("", j.interval, j.timeout)
}

// bound applies a monitor's limits. They may be lower than the receiver's; a
// higher one is the receiver's for what bounds memory.
func (r *scrapeReceiver) bound(j *job, s *monitorSpec) error {
	lower := func(to *int, own uint64) {
		if own > 0 && (*to == 0 || own < uint64(*to)) {
			*to = int(own)
		}
	}
	lower(&j.limits.samples, s.SampleLimit)
	lower(&j.limits.labels, s.LabelLimit)
	lower(&j.limits.labelNameLength, s.LabelNameLengthLimit)
	lower(&j.limits.labelValueLength, s.LabelValueLengthLimit)
	j.targetLimit = int(min(s.TargetLimit, maxTargets))
	if s.BodySizeLimit != "" && s.BodySizeLimit != "0" {
		v, err := units.ParseBase2Bytes(s.BodySizeLimit)
		if err != nil {
			return fmt.Errorf("bodySizeLimit: %w", err)
		}
		lower(&j.maxBody, uint64(max(v, 1)))
	}
	if s.NativeHistograms != nil {
		j.native = *s.NativeHistograms
	}
	j.classic = s.ClassicHistograms != nil && *s.ClassicHistograms
	return nil
}

// authenticate puts the credentials of an endpoint into its job, and gives a
// text that is another one whenever they change.
func (e *endpoint) authenticate(j *job, c *compiled, read secrets) (version string, err error) {
	seen := fingerprint{}
	get := func(kind, what string, k *keySelector) string {
		if err != nil || k == nil || k.Name == "" {
			return ""
		}
		var value string
		if value, err = read(c, kind, *k); err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
		seen.add(value)
		return value
	}
	secret := func(what string, k *keySelector) string { return get("secrets", what, k) }
	either := func(what string, s secretOrConfigMap) string {
		if s.ConfigMap != nil {
			return get("configmaps", what, s.ConfigMap)
		}
		return secret(what, s.Secret)
	}
	if b := e.BasicAuth; b != nil {
		j.http.BasicAuth = &promconfig.BasicAuth{
			Username: secret("basicAuth.username", &b.Username), Password: promconfig.Secret(secret("basicAuth.password", &b.Password)),
		}
	}
	if a := e.Authorization; a != nil {
		j.http.Authorization = &promconfig.Authorization{
			Type: cmp.Or(strings.TrimSpace(a.Type), "Bearer"), Credentials: promconfig.Secret(secret("authorization.credentials", a.Credentials)),
		}
	}
	if k := e.BearerTokenSecret; k != nil && k.Name != "" {
		j.http.Authorization = &promconfig.Authorization{Type: "Bearer", Credentials: promconfig.Secret(secret("bearerTokenSecret", k))}
	}
	if t := e.TLSConfig; t != nil {
		j.http.TLSConfig = promconfig.TLSConfig{
			CA: either("tlsConfig.ca", t.CA), Cert: either("tlsConfig.cert", t.Cert), Key: promconfig.Secret(secret("tlsConfig.keySecret", t.KeySecret)),
			ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify,
		}
	}
	if err == nil {
		err = j.http.Validate()
	}
	return seen.String(), err
}

// selects says whether a monitor reaches into a namespace.
func (c *compiled) selects(namespace string) bool {
	return c.namespaces == nil || slices.Contains(c.namespaces, namespace)
}

var invalidLabelBytes = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// labelName is a Kubernetes label's name as one of Prometheus'.
func labelName(key string) string { return invalidLabelBytes.ReplaceAllString(key, "_") }

package scrape

import (
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"go.uber.org/zap"
)

// staticTargets are those of the configuration. They never change.
func (r *scrapeReceiver) staticTargets() []*target {
	var all []*target
	for i := range r.cfg.Jobs {
		j := r.staticJob(&r.cfg.Jobs[i])
		for _, address := range r.cfg.Jobs[i].Targets {
			discovered := map[string]string{model.AddressLabel: address, model.JobLabel: r.cfg.Jobs[i].Name}
			if r.cfg.Node != "" {
				discovered["node"] = r.cfg.Node
			}
			for name, value := range r.cfg.Jobs[i].Labels {
				discovered[name] = value
			}
			t, err := newTarget(j, discovered)
			if err != nil {
				r.refuse(j, "address", err, zap.String("target", address))
				continue
			}
			all = append(all, t)
		}
	}
	return all
}

func (r *scrapeReceiver) staticJob(c *JobConfig) *job {
	j := r.job("static/"+c.Name, sourceStatic)
	j.interval, j.timeout = c.interval(r.cfg), c.timeout(r.cfg)
	j.setLimits(r.cfg, c.Limits)
	if c.Scheme != "" {
		j.scheme = c.Scheme
	}
	if c.Path != "" {
		j.path = c.Path
	}
	j.honorLabels, j.tentative, j.escaping = c.HonorLabels, c.Optional, c.MetricNameEscapingScheme
	j.http.TLSConfig = promconfig.TLSConfig{
		CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile,
		ServerName: c.TLS.ServerName, InsecureSkipVerify: c.TLS.InsecureSkipVerify,
	}
	j.http.Authorization = bearer(c.TokenFile)
	return j
}

// bearer is the authorization by a token file; nil for none.
func bearer(file string) *promconfig.Authorization {
	if file == "" {
		return nil
	}
	return &promconfig.Authorization{Type: "Bearer", CredentialsFile: file}
}

// job is one with the receiver's settings.
func (r *scrapeReceiver) job(id, source string) *job {
	j := &job{
		id: id, source: source,
		scheme: "http", path: "/metrics",
		interval: r.cfg.Interval, timeout: r.cfg.timeout(),
		honorTimestamps: true,
		native:          r.cfg.NativeHistograms,
		http:            promconfig.HTTPClientConfig{EnableHTTP2: true},
	}
	j.setLimits(r.cfg, LimitsConfig{})
	return j
}

func (j *job) setLimits(c *Config, own LimitsConfig) {
	l := own.or(c.Limits)
	j.limits, j.maxBody = l.ofPage(), c.maxBody(l)
}

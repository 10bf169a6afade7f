package scrape

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// The annotations by which a pod asks to be scraped.
const (
	annotationScrape = "prometheus.io/scrape"
	annotationPort   = "prometheus.io/port"
	annotationPath   = "prometheus.io/path"
	annotationScheme = "prometheus.io/scheme"
)

// canBeScraped says whether a pod runs and has an address.
func canBeScraped(p *kubemeta.Pod) bool { return !p.Finished && len(p.IPs) > 0 }

// annotatedTargets are those that a pod asks for.
func (r *scrapeReceiver) annotatedTargets(p *kubemeta.Pod) []*target {
	if p.Annotations[annotationScrape] != "true" || !canBeScraped(p) {
		return nil
	}
	j := r.annotatedJob()
	ports, err := annotatedPorts(p)
	if err != nil {
		r.refuse(j, "annotation", err, podFields(p)...)
		return nil
	}
	var all []*target
	for _, port := range ports {
		t, err := newTarget(j, annotatedLabels(p, port))
		if err != nil {
			r.refuse(j, "annotation", err, podFields(p)...)
			continue
		}
		all = append(all, t)
	}
	return all
}

func podFields(p *kubemeta.Pod) []zap.Field {
	return []zap.Field{zap.String("namespace", p.Namespace), zap.String("pod", p.Name)}
}

// annotatedJob has no credentials, so that there is nothing to steal by it, and
// therefore need not know whom it talks to: pods have no certificates that
// anybody could check.
func (r *scrapeReceiver) annotatedJob() *job {
	j := r.job("annotations", sourceAnnotations)
	j.http.TLSConfig = promconfig.TLSConfig{InsecureSkipVerify: true}
	return j
}

// annotatedPorts are the one that the annotation names or else, as in the usual
// configuration of Prometheus, all that the pod declares; but if some of these
// are called metrics, then only those.
func annotatedPorts(p *kubemeta.Pod) ([]kubemeta.Port, error) {
	if text := p.Annotations[annotationPort]; text != "" {
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil || number == 0 {
			return nil, fmt.Errorf("annotation %s: %.40q is no port's number (1 to 65535)", annotationPort, text)
		}
		at := slices.IndexFunc(p.Ports, func(port kubemeta.Port) bool { return port.Number == uint16(number) })
		if at >= 0 {
			return p.Ports[at : at+1], nil
		}
		port := kubemeta.Port{Number: uint16(number), Protocol: "TCP"}
		if only, ok := p.OnlyContainer(); ok {
			port.Container = only.Name
		}
		return []kubemeta.Port{port}, nil
	}
	var all, named []kubemeta.Port
	for _, port := range p.Ports {
		if port.Protocol != "TCP" {
			continue
		}
		all = append(all, port)
		if strings.HasSuffix(port.Name, "metrics") {
			named = append(named, port)
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	return all, nil
}

// annotatedLabels: the job is the namespace and the workload, as a PodMonitor of
// the workload's name would give; the service is OpenTelemetry's.
func annotatedLabels(p *kubemeta.Pod, port kubemeta.Port) map[string]string {
	container, _ := p.Container(port.Container)
	found := map[string]string{
		model.AddressLabel: hostPort(p.IPs[0], port.Number),
		"job":              p.Namespace + "/" + cmp.Or(p.Workload.Name, p.Name),
		"namespace":        p.Namespace,
		"pod":              p.Name,
		"container":        port.Container,
		"node":             p.NodeName,
		"service":          p.Service(container).Name,
	}
	if scheme := p.Annotations[annotationScheme]; scheme == "http" || scheme == "https" {
		found[model.SchemeLabel] = scheme
	}
	annotatedPath(p.Annotations[annotationPath], found)
	return found
}

// annotatedPath allows for parameters in the annotation, as some write.
func annotatedPath(text string, to map[string]string) {
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return
	}
	to[model.MetricsPathLabel] = u.Path
	for name, values := range u.Query() {
		to[model.ParamLabelPrefix+name] = values[0]
	}
}

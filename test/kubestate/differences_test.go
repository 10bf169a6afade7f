//go:build e2e

package kubestate

import (
	"regexp"
	"strings"
)

// byRequest are prefixes of families that the receiver tells of without being asked
// to, and kube-state-metrics only by request or by a configuration.
var byRequest = []string{"kube_serviceaccount_", "kube_verticalpodautoscaler_"}

// applyDifferences takes away what is different on purpose, from both pages.
func applyDifferences(theirs, ours page) {
	for _, prefix := range byRequest {
		if !told(theirs, prefix) {
			remove(ours, prefix)
		}
	}
	// What Prometheus makes of a scrape, and what kube-state-metrics tells of itself
	// at another port.
	remove(ours, "up")
	remove(ours, "scrape_")
	remove(ours, "kube_state_metrics_")
	for name, f := range ours.families {
		// Prometheus' text format has no other type for these.
		if f.Type == "info" || f.Type == "stateset" {
			f.Type = "gauge"
			ours.families[name] = f
		}
	}
	for series := range ours.series {
		name, labels, _ := strings.Cut(series, "{")
		switch {
		// A reason that later releases and the alert KubePodNotReady know.
		case name == "kube_pod_status_reason" && strings.Contains(labels, `reason="SchedulingGated"`):
			delete(ours.series, series)
		// kube-state-metrics v2.18 loses a kind whose families are like those of another.
		case name == "myobject_info" && strings.Contains(labels, `"v1alpha1"`):
			delete(ours.series, series)
		// kube-state-metrics v2.18 confuses these labels; the right ones are told.
		case name == "kube_endpointslice_endpoints":
			value := ours.series[series]
			delete(ours.series, series)
			ours.series[name+"{"+confused(labels)] = value
		}
	}
	for series, value := range theirs.series {
		name, labels, _ := strings.Cut(series, "{")
		switch {
		// A schedule that never comes is no time in the year 1.
		case name == "kube_cronjob_next_schedule_time" && value < 0:
			delete(theirs.series, series)
		// There, the kind is known only as a custom resource.
		case strings.HasPrefix(name, "kube_verticalpodautoscaler_"):
			delete(theirs.series, series)
			theirs.series[name+"{"+customLabels.ReplaceAllString(labels, "")] = value
		}
	}
}

func told(p page, prefix string) bool {
	for name := range p.families {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func remove(p page, prefix string) {
	for series := range p.series {
		if strings.HasPrefix(series, prefix) {
			delete(p.series, series)
		}
	}
	for name := range p.families {
		if strings.HasPrefix(name, prefix) {
			delete(p.families, name)
		}
	}
}

var customLabels = regexp.MustCompile(`customresource_[a-z]+="[^"]*",`)

var (
	hostnameLabel    = regexp.MustCompile(`hostname=("[^"]*"),`)
	servingLabel     = regexp.MustCompile(`serving=("[^"]*"),`)
	terminatingLabel = regexp.MustCompile(`terminating=("[^"]*"),`)
)

// confused writes labels of an endpoint as kube-state-metrics v2.18 does: it puts
// "terminating" into "serving", and the host's name into "terminating".
func confused(labels string) string {
	if terminating := terminatingLabel.FindStringSubmatch(labels); terminating != nil {
		labels = servingLabel.ReplaceAllString(terminatingLabel.ReplaceAllString(labels, ""), "serving="+terminating[1]+",")
	}
	if host := hostnameLabel.FindStringSubmatch(labels); host != nil {
		labels = hostnameLabel.ReplaceAllString(labels, "")
		labels = strings.Replace(labels, "}", "terminating="+host[1]+",}", 1)
	}
	return labels
}

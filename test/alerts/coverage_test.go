//go:build e2e

package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/dashboards"
	dashboardfiles "github.com/crowsnest-o11y/crowsnest/dashboards/json"
	"github.com/crowsnest-o11y/crowsnest/dashboards/rules"
	"github.com/crowsnest-o11y/crowsnest/pipeline/rulecheck"
)

// item is a query of a panel, an annotation or a rule, and what became of it.
type item struct {
	file       string // dashboard or rule file
	name       string
	panel      bool // or an annotation
	annotation bool

	expr   string // variables filled in
	source dashboards.Source
	rule   string // ID of the alert, name of the record
	alert  bool
	lack   string // what this cluster has not, if it need not return data

	data   bool   // it returned data here
	reason string // of no data, as far as it is known
	proved bool   // it returned data from series made for it
}

// lackOfCluster is what this cluster does not have, of what queries may need: of
// every other need there is something here, and the query has to return it.
var lackOfCluster = []dashboards.Need{
	"a node with a bad condition",
	"a HorizontalPodAutoscaler that is told its metric",
	"a node with swap",
	"a VolumeAttachment",
	"an eviction",
	"a kernel with pressure stall information",
	"a runtime that reports block I/O of containers",
	"metrics from the container runtime",
	"items dropped by Crowsnest",
	"a probe that fails",
	"something that fails and is tried again",
	"the cluster autoscaler, scraped",
	"the scheduler, scraped",
	"the controller-manager, scraped",
	"etcd, scraped",
	"kube-proxy, scraped",
}

// lackOfRules is the same of rules, by what rulecheck says that is missing.
var lackOfRules = []struct{ missing, lack string }{
	{"etcd", "etcd, scraped"},
	{"scheduler", "the scheduler, scraped"},
	{"kube-controller-manager", "the controller-manager, scraped"},
	{"kube-proxy", "kube-proxy, scraped"},
	{"cluster_autoscaler_", "the cluster autoscaler, scraped"},
	{"certmanager_", "cert-manager, scraped"},
	{"kubelet_certificate_manager_", "a kubelet that renews its certificates"},
	{"kubelet_server_expiration_renew_errors", "a kubelet that renews its certificates"},
	{"aggregator_unavailable_apiservice_total", "an aggregated API that was unavailable"},
	{"apiserver_request_terminations_total", "a request that the API server ended itself"},
	{"apiserver_admission_webhook_rejection_count", "an admission webhook that refuses"},
	{`rcode="SERVFAIL"`, "a name that CoreDNS fails to resolve"},
	{"coredns_forward_responses_total", "a server that CoreDNS forwards to"},
	{`kube_replicaset_owner exists, but none of its series has owner_kind=""`, "a ReplicaSet of no Deployment"},
	{`owner_kind="Node"`, "a static pod"},
	{"node_md_", "a RAID array"},
	{"node_systemd_", "systemd"},
	{"node_bonding_", "a bonded interface"},
	{"node.kubernetes.io/unreachable", "an unreachable node"},
	{"kubelet_evictions", "an eviction"},
	{"kube_volumeattachment_", "a VolumeAttachment"},
	{"kube_pod_deletion_timestamp", "a pod that is being deleted"},
	{"crowsnest_dropped_items_total", "items dropped by Crowsnest"},
	{"crowsnest_spool_faults_total", "a disk that fails"},
	{"crowsnest_prometheus_untracked_points_total", "more series than the exporter may know"},
	{"crowsnest_containerlogs_read_errors_total", "a log file that cannot be read"},
	{"crowsnest_kubestate_errors_total", "an object that cannot be read"},
	{`outcome!="ok"`, "a kubelet that cannot be scraped"},
	{`code=~"4..|InvalidArgument`, "a store that refuses"},
}

// lackOfLines is of rules about lines, which are run as they are, conditions and all.
var lackOfLines = map[string]string{
	"LogErrorSpike": "a service that begins to log errors",
	"LogStackTrace": "a program that panics",
}

// checkCoverage wants data from every query: from this cluster, or from series
// made for what the cluster lacks.
func (in *installation) checkCoverage(t *testing.T) {
	in.rollOut(t)
	panels := append(panelItems(t), annotationItems(t)...)
	eventually(t, "data of every panel and annotation that this cluster has something for", func(ctx context.Context) error {
		return errors.Join(in.queryPanels(ctx, panels), lacking(panels))
	})
	var checked []*item
	eventually(t, "data of every rule that this cluster has something for", func(ctx context.Context) error {
		var err error
		checked, err = in.queryRules(ctx)
		return errors.Join(err, lacking(checked))
	})
	all := slices.Concat(panels, checked)
	in.checkCommand(t, all)
	exercise(t, all)
	for _, i := range all {
		if !i.data && !i.proved {
			t.Errorf("%s: %s returns nothing from the series made for it: %s", i.file, i.name, i.expr)
		}
	}
	checkTable(t, newTable(t, all))
}

// rollOut changes objects of each kind that dashboards tell changes of.
func (in *installation) rollOut(t *testing.T) {
	t.Helper()
	in.kubectl(t, "--namespace", shop, "rollout", "restart", "deployment/checkout", "statefulset/postgres")
	in.kubectl(t, "--namespace", namespace, "rollout", "restart", "daemonset/"+release+"-agent")
	// A moment of errors.
	in.kubectl(t, "--namespace", shop, "scale", "deployment/payment", "--replicas=0")
	in.kubectl(t, "--namespace", shop, "wait", "pods", "--selector=app.kubernetes.io/name=payment", "--for=delete", "--timeout="+patience.String())
	in.kubectl(t, "--namespace", shop, "scale", "deployment/payment", "--replicas=1")
	eventually(t, "number of replicas that the autoscaler wants", func(ctx context.Context) error {
		found, err := in.prometheus.Query(ctx, `kube_horizontalpodautoscaler_status_desired_replicas{namespace="`+shop+`"}`)
		if err == nil && len(found) == 0 {
			err = errors.New("none yet")
		}
		return err
	})
	// Without a metrics server this is the only reason to scale.
	in.kubectl(t, "--namespace", shop, "patch", "horizontalpodautoscaler", "frontend", "--patch", `{"spec":{"minReplicas":2}}`)
}

// lacking is an error of all that returned nothing and had to return something.
func lacking(all []*item) error {
	var errs []error
	for _, i := range all {
		if !i.data && i.lack == "" {
			errs = append(errs, fmt.Errorf("%s: %s returns nothing: %s%s", i.file, i.name, i.expr, i.reason))
		}
	}
	return errors.Join(errs...)
}

// panelItems are the queries of all panels, variables at All.
func panelItems(t *testing.T) []*item {
	t.Helper()
	var all []*item
	for _, d := range dashboards.All() {
		for _, p := range d.Panels() {
			targets, err := jaegerTargets(d, p)
			if err != nil {
				t.Fatal(err)
			}
			for n, q := range p.Queries {
				i := &item{file: d.UID, name: p.Title + " " + string(rune('A'+n)), panel: true, source: q.Source, expr: q.Resolve(nil)}
				if q.Source == dashboards.Jaeger {
					i.expr = targets[n]
				}
				if slices.Contains(lackOfCluster, q.Needs) {
					i.lack = string(q.Needs)
				} else if q.Needs != "" {
					i.reason = ", though there is " + string(q.Needs)
				}
				all = append(all, i)
			}
		}
	}
	return all
}

// annotationItems are the queries of what marks moments over panels. Here, nothing
// but a rollout happens to the cluster's own pods.
func annotationItems(t *testing.T) []*item {
	t.Helper()
	var all []*item
	for _, d := range dashboards.All() {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Annotations struct {
				List []struct {
					Name, Expr string
					Datasource struct{ Type dashboards.Source }
				}
			}
		}
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		for _, a := range file.Annotations.List {
			if a.Datasource.Type != dashboards.Prometheus && a.Datasource.Type != dashboards.Loki {
				continue // those that people set by hand
			}
			i := &item{file: d.UID, name: "annotation " + a.Name, panel: true, annotation: true,
				source: a.Datasource.Type, expr: dashboards.Query{Expr: a.Expr}.Resolve(nil)}
			if strings.Contains(a.Expr, `namespace="kube-system"`) && a.Name != "Rollouts" {
				i.lack = "a pod of kube-system that ends, or whose owner is changed"
			}
			all = append(all, i)
		}
	}
	return all
}

// queryPanels runs the queries that have not returned data yet.
func (in *installation) queryPanels(ctx context.Context, all []*item) error {
	for _, i := range all {
		if i.data {
			continue
		}
		var err error
		if i.data, err = in.returnsData(ctx, i.source, i.expr); err != nil {
			return fmt.Errorf("%s: %s: %w", i.file, i.name, err)
		}
	}
	return nil
}

// returnsData asks the store for the time since the installation.
func (in *installation) returnsData(ctx context.Context, source dashboards.Source, expr string) (bool, error) {
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	switch source {
	case dashboards.Loki:
		query := url.Values{"query": {expr}, "step": {"60"}, "limit": {"1"},
			"start": {strconv.FormatInt(in.start.UnixNano(), 10)}, "end": {strconv.FormatInt(time.Now().UnixNano(), 10)}}
		err := in.loki.Get(ctx, "/loki/api/v1/query_range", query, &answer)
		return len(answer.Data.Result) > 0, err
	case dashboards.Jaeger:
		var found struct{ Data []json.RawMessage }
		query, err := url.ParseQuery(expr)
		if err != nil {
			return false, err
		}
		query.Set("start", strconv.FormatInt(in.start.UnixMicro(), 10))
		query.Set("end", strconv.FormatInt(time.Now().UnixMicro(), 10))
		err = in.jaeger.Get(ctx, "/api/traces", query, &found)
		return len(found.Data) > 0, err
	}
	query := url.Values{"query": {expr}, "step": {"15"}, "start": {unix(in.start)}, "end": {unix(time.Now())}}
	err := in.prometheus.Get(ctx, "/api/v1/query_range", query, &answer)
	return len(answer.Data.Result) > 0, err
}

// jaegerTargets are the searches of a panel as Grafana's data source sends them,
// by their place, for the service frontend.
func jaegerTargets(d dashboards.Dashboard, p dashboards.Panel) (map[int]string, error) {
	found := map[int]string{}
	if p.Queries[0].Source != dashboards.Jaeger {
		return found, nil
	}
	text, err := d.JSON()
	if err != nil {
		return nil, err
	}
	var file struct {
		Panels []struct {
			ID      uint32
			Targets []struct {
				Service, Tags string
				Limit         int
			}
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	for _, panel := range file.Panels {
		if panel.ID != p.ID {
			continue
		}
		for n, target := range panel.Targets {
			query := url.Values{"service": {strings.ReplaceAll(target.Service, "$service", "frontend")}, "limit": {strconv.Itoa(target.Limit)}}
			if tags := logfmt(target.Tags); len(tags) > 0 {
				text, err := json.Marshal(tags)
				if err != nil {
					return nil, err
				}
				query.Set("tags", string(text))
			}
			found[n] = query.Encode()
		}
	}
	return found, nil
}

// logfmt reads the form in which people write tags; Jaeger's API wants JSON.
func logfmt(text string) map[string]string {
	tags := map[string]string{}
	for field := range strings.FieldsSeq(text) {
		if key, value, ok := strings.Cut(field, "="); ok {
			tags[key] = value
		}
	}
	return tags
}

// queryRules has rulecheck judge every rule: whether it could return data here.
func (in *installation) queryRules(ctx context.Context) ([]*item, error) {
	var all []*item
	var queries []rulecheck.Query
	for _, f := range rules.Files() {
		text, err := f.Plain()
		if err != nil {
			return nil, err
		}
		read, err := rulecheck.Read(f.Name+".yaml", strings.NewReader(string(text)))
		if err != nil {
			return nil, err
		}
		queries = append(queries, read...)
		n := 0
		add := func(id, name string, alert bool) {
			source := dashboards.Prometheus
			if f.Loki {
				source = dashboards.Loki
			}
			all = append(all, &item{file: f.Name, name: name, rule: id, alert: alert, expr: read[n].Expr, source: source})
			n++
		}
		for _, g := range f.Groups {
			for _, r := range g.Records {
				add(r.Name, r.Name, false)
			}
			for _, a := range g.Alerts {
				add(a.ID(), a.Name, true)
			}
		}
	}
	s, err := rulecheck.NewStores(in.prometheus.URL, in.loki.URL, in.transport, time.Since(in.start))
	if err != nil {
		return nil, err
	}
	results, err := rulecheck.Check(ctx, s, queries)
	if err != nil {
		return nil, err
	}
	for n, r := range results {
		all[n].data = r.Verdict == rulecheck.Data
		if !all[n].data {
			all[n].lack, all[n].reason = lackOf(all[n].rule, r), ": "+r.Reason
		}
	}
	return all, nil
}

// lackOf says what the cluster lacks; nothing if the query has to return data.
func lackOf(rule string, r rulecheck.Result) string {
	if r.Language == rulecheck.LogQL {
		return lackOfLines[rule]
	}
	for _, l := range lackOfRules {
		if strings.Contains(r.Reason, l.missing) {
			return l.lack
		}
	}
	return ""
}

// checkCommand runs what people run, where it is: in an aggregator. It reads the
// same queries and sees the same stores.
func (in *installation) checkCommand(t *testing.T, all []*item) {
	t.Helper()
	out, err := in.cluster.Kubectl(t.Context(), "--namespace", namespace, "exec", "deployment/"+release+"-aggregator", "--",
		"/crowsnest-aggregator", "check-rules", "--all", "--prometheus=http://"+release+"-prometheus:9090", "--loki=http://"+release+"-loki:3100").Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	tally := lines[len(lines)-1]
	queries := 0
	for _, i := range all {
		if i.source != dashboards.Jaeger {
			queries++
		}
	}
	if !strings.HasPrefix(tally, fmt.Sprintf("%d queries: ", queries)) || !strings.Contains(tally, " 0 bad, 0 untried") {
		t.Errorf("check-rules tells of other queries than the %d that there are: %s (%v)", queries, tally, err)
	}
	t.Logf("check-rules: %s", tally)
	files, err := dashboardfiles.Files.ReadDir(".")
	if err != nil || len(files) != len(dashboards.All()) {
		t.Errorf("the program has %d dashboards of %d (%v)", len(files), len(dashboards.All()), err)
	}
}

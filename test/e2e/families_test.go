//go:build e2e

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// mostErrors of one kind are told.
const mostErrors = 20

func joined(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if n := len(errs); n > mostErrors {
		errs = append(errs[:mostErrors:mostErrors], fmt.Errorf("and %d more", n-mostErrors))
	}
	return errors.Join(errs...)
}

// checkFamilies looks for every family in both Prometheus: the one that is
// written to and the one that scrapes.
func (in *installation) checkFamilies(t *testing.T) {
	all, err := parseFamilies(familiesText)
	if err != nil {
		t.Fatal(err)
	}
	absent := map[string]bool{} // as the page, reason and store may change: by selector
	for _, store := range []struct {
		name string
		*stores.Prometheus
	}{{"written to", in.prometheus}, {"scraping", in.scraper}} {
		left := all
		eventually(t, "family that is missing, in the Prometheus that is "+store.name, func(ctx context.Context) error {
			var missing []family
			var errs []error
			for _, f := range left {
				if err := in.checkFamily(t, ctx, store.Prometheus, f, absent); err != nil {
					missing, errs = append(missing, f), append(errs, err)
				}
			}
			left = missing
			return joined(errs)
		})
	}
	in.checkTypes(t, all, absent)
	t.Logf("%d families, %d of them absent for a reason that holds", len(all), len(absent))
	if *update {
		in.writeTable(t, all, absent)
	}
}

// checkFamily wants a series with all labels, and none without cluster; or none
// at all where the reason of its lack holds.
func (in *installation) checkFamily(t *testing.T, ctx context.Context, store *stores.Prometheus, f family, absent map[string]bool) error {
	var whole []string
	for _, label := range f.labels {
		whole = append(whole, label+`!=""`)
	}
	if f.job == "" && store == in.scraper {
		return nil // has no rules
	}
	found, err := store.Query(ctx, "count("+f.selector(whole...)+")")
	if err != nil {
		return err
	}
	if f.lack != "" && lacks[f.lack].holds(in, t, f) {
		absent[f.selector()] = true
		if len(found) > 0 {
			return fmt.Errorf("%s is there, although %s", f.selector(), lacks[f.lack].reason)
		}
		return nil
	}
	delete(absent, f.selector())
	if len(found) == 0 {
		return fmt.Errorf("no %s", f.selector(whole...))
	}
	if f.job == "" {
		return nil // made by Prometheus itself
	}
	foreign, err := store.Query(ctx, "count("+f.selector(`cluster!="`+clusterName+`"`)+")")
	if err == nil && len(foreign) > 0 {
		err = fmt.Errorf("%s has %g series of no cluster", f.selector(), foreign[0].Value)
	}
	return err
}

var suffix = regexp.MustCompile(`_(bucket|count|sum|total)$`)

// checkTypes asks the Prometheus that scrapes: what is written has no types there.
func (in *installation) checkTypes(t *testing.T, all []family, absent map[string]bool) {
	var answer struct {
		Data map[string][]struct{ Type string }
	}
	if err := in.scraper.Get(t.Context(), "/api/v1/metadata", nil, &answer); err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if absent[f.selector()] || f.job == "" {
			continue
		}
		told := answer.Data[f.name]
		if len(told) == 0 {
			told = answer.Data[suffix.ReplaceAllString(f.name, "")]
		}
		if len(told) == 0 || slices.ContainsFunc(told, func(m struct{ Type string }) bool { return m.Type != f.kind }) {
			t.Errorf("%s has the types %v, want %s", f.name, told, f.kind)
		}
	}
}

func (in *installation) writeTable(t *testing.T, all []family, absent map[string]bool) {
	page := render(all, func(f family) string {
		if absent[f.selector()] {
			return "absent: " + lacks[f.lack].reason
		}
		return "yes"
	})
	if err := os.MkdirAll(filepath.Dir(table), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.FromSlash(table), page, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pairs are matched by rules and dashboards on all of their labels: both must
// have the same, or an alert never fires.
var pairs = strings.Fields(`
	node_filesystem_size_bytes/node_filesystem_avail_bytes
	node_filesystem_avail_bytes/node_filesystem_readonly
	node_filesystem_files_free/node_filesystem_files
	node_filesystem_files_free/node_filesystem_readonly
	kube_daemonset_status_current_number_scheduled/kube_daemonset_status_desired_number_scheduled
	kube_daemonset_status_current_number_scheduled/kube_daemonset_status_updated_number_scheduled
	kube_daemonset_status_number_available/kube_daemonset_status_desired_number_scheduled
	kube_deployment_spec_replicas/kube_deployment_status_replicas_available
	kube_deployment_spec_replicas/kube_deployment_status_replicas_updated
	kube_deployment_status_observed_generation/kube_deployment_metadata_generation
	kube_horizontalpodautoscaler_spec_max_replicas/kube_horizontalpodautoscaler_spec_min_replicas
	kube_horizontalpodautoscaler_status_current_replicas/kube_horizontalpodautoscaler_spec_max_replicas
	kube_horizontalpodautoscaler_status_desired_replicas/kube_horizontalpodautoscaler_status_current_replicas
	kube_job_status_start_time/kube_job_status_active
	kube_poddisruptionbudget_status_desired_healthy/kube_poddisruptionbudget_status_current_healthy
	kube_statefulset_replicas/kube_statefulset_status_replicas_updated
	kube_statefulset_status_current_revision/kube_statefulset_status_update_revision
	kube_statefulset_status_observed_generation/kube_statefulset_metadata_generation
	kube_statefulset_status_replicas_ready/kube_statefulset_replicas
	kube_statefulset_status_replicas_ready/kube_statefulset_status_replicas_updated
	kubelet_volume_stats_available_bytes/kubelet_volume_stats_capacity_bytes
	kubelet_volume_stats_available_bytes/kubelet_volume_stats_used_bytes
	kubelet_volume_stats_inodes_free/kubelet_volume_stats_inodes
	kubelet_volume_stats_inodes_free/kubelet_volume_stats_inodes_used
	node_filefd_allocated/node_filefd_maximum
	node_memory_Buffers_bytes/node_memory_Cached_bytes
	node_memory_Buffers_bytes/node_memory_MemFree_bytes
	node_memory_Buffers_bytes/node_memory_Slab_bytes
	node_memory_MemAvailable_bytes/node_memory_MemTotal_bytes
	node_netstat_TcpExt_TCPSynRetrans/node_netstat_Tcp_RetransSegs
	node_netstat_Tcp_RetransSegs/node_netstat_Tcp_OutSegs
	node_network_receive_errs_total/node_network_receive_packets_total
	node_network_transmit_errs_total/node_network_transmit_packets_total
	node_nf_conntrack_entries/node_nf_conntrack_entries_limit
	node_timex_sync_status/node_timex_maxerror_seconds
	container_fs_reads_bytes_total/container_fs_writes_bytes_total
	container_fs_reads_total/container_fs_writes_total
	container_cpu_cfs_throttled_periods_total/container_cpu_cfs_periods_total
	instance:node_cpu_utilisation:rate5m/instance:node_num_cpu:sum
	node_load1/instance:node_num_cpu:sum
	node_bonding_slaves/node_bonding_active
	node_md_disks_required/node_md_disks
`)

// absentPairs have nothing to match where the reason for their absence holds.
var absentPairs = map[string]string{
	"node_bonding_slaves/node_bonding_active":                        "node_bonding_active",
	"node_md_disks_required/node_md_disks":                           "node_md_disks",
	"container_fs_reads_bytes_total/container_fs_writes_bytes_total": "container_fs_reads_bytes_total",
}

// checkPairs wants for each series of the first one of the second, and the reverse.
func (in *installation) checkPairs(t *testing.T) {
	for _, store := range []*stores.Prometheus{in.prometheus, in.scraper} {
		eventually(t, "pairs that match", func(ctx context.Context) error {
			var errs []error
			for _, pair := range pairs {
				if store == in.scraper && strings.Contains(pair, ":") {
					continue // it has no rules
				}
				errs = append(errs, checkPair(ctx, store, pair))
			}
			return joined(errs)
		})
	}
}

func checkPair(ctx context.Context, store *stores.Prometheus, pair string) error {
	one, other, _ := strings.Cut(pair, "/")
	match := ""
	if other == "node_md_disks" {
		match = " ignoring(state)"
	}
	found, err := store.Query(ctx, fmt.Sprintf(`count(%s and%s %s)`, one, match, other))
	if err != nil {
		return err
	}
	if family := absentPairs[pair]; family != "" && len(found) == 0 {
		if there, err := store.Query(ctx, "count("+family+`{namespace!="",container!=""} or `+family+`{namespace=""})`); err != nil || len(there) == 0 {
			return err
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("%s and %s have no labels in common", one, other)
	}
	alone, err := store.Query(ctx, fmt.Sprintf(`(%[1]s unless%[3]s %[2]s) or (%[2]s unless%[3]s %[1]s)`, one, other, match))
	if err == nil && len(alone) > 0 {
		err = fmt.Errorf("of %s, %d series stand alone, such as %v", pair, len(alone), alone[0].Labels)
	}
	return err
}

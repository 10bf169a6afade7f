package rules

// volume is an alert expression on kubelet_volume_stats_*: left of total, with
// room for a prediction. Volumes that cannot fill up or that are labelled so are
// left out.
func volume(left, total, used, and string) string {
	const kubelet = `{job="kubelet",metrics_path="/metrics"`
	return `
		(
			kubelet_volume_stats_` + left + kubelet + `<ns>}
		/
			kubelet_volume_stats_` + total + kubelet + `}
		) < <ratio>
		and
		kubelet_volume_stats_` + used + kubelet + `} > 0` + and + `
		unless on (cluster, namespace, persistentvolumeclaim)
		kube_persistentvolumeclaim_access_mode{access_mode="ReadOnlyMany"} == 1
		unless on (cluster, namespace, persistentvolumeclaim)
		kube_persistentvolumeclaim_labels{label_excluded_from_alerts="true"} == 1`
}

func full(left string) string {
	return `
		and
		predict_linear(kubelet_volume_stats_` + left + `{job="kubelet",metrics_path="/metrics"}[6h], 4 * 24 * 3600) < 0`
}

// volumes are the alerts of kubernetes-storage.
func volumes() []Alert {
	const claim = `The volume of PersistentVolumeClaim {{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }} `
	low, some := map[string]string{"ratio": "0.03"}, map[string]string{"ratio": "0.15"}
	return []Alert{
		{Name: "KubePersistentVolumeFillingUp", Variant: "Critical", Severity: critical, For: "1m", Board: "storage namespace persistentvolumeclaim",
			Params: low, Expr: volume("available_bytes", "capacity_bytes", "used_bytes", ""),
			Summary: "A volume is full.", Text: claim + `has {{ $value | humanizePercentage }} of its space left.`},
		{Name: "KubePersistentVolumeFillingUp", Variant: "Warning", Severity: warning, For: "1h", Board: "storage namespace persistentvolumeclaim",
			Params: some, Expr: volume("available_bytes", "capacity_bytes", "used_bytes", full("available_bytes")),
			Summary: "A volume will be full within four days.", Text: claim + `has {{ $value | humanizePercentage }} of its space left and fills up within four days if it goes on like this.`},
		{Name: "KubePersistentVolumeInodesFillingUp", Variant: "Critical", Severity: critical, For: "1m", Board: "storage namespace persistentvolumeclaim",
			Params: low, Expr: volume("inodes_free", "inodes", "inodes_used", ""),
			Summary: "A volume has no inodes left.", Text: claim + `has {{ $value | humanizePercentage }} of its inodes left.`},
		{Name: "KubePersistentVolumeInodesFillingUp", Variant: "Warning", Severity: warning, For: "1h", Board: "storage namespace persistentvolumeclaim",
			Params: some, Expr: volume("inodes_free", "inodes", "inodes_used", full("inodes_free")),
			Summary: "A volume will have no inodes left within four days.", Text: claim + `has {{ $value | humanizePercentage }} of its inodes left and none within four days if it goes on like this.`},
		{Name: "KubePersistentVolumeErrors", Severity: critical, For: "5m", Board: "storage",
			Expr:    `kube_persistentvolume_status_phase{job="kube-state-metrics",phase=~"Failed|Pending"} > 0`,
			Summary: "A PersistentVolume has a problem.",
			Text:    `PersistentVolume {{ $labels.persistentvolume }} is in phase {{ $labels.phase }}.`},
	}
}

// claims are alerts on volumes that kubernetes-mixin lacks.
func claims() []Alert {
	const ns = `job="kube-state-metrics"<ns>`
	return []Alert{
		{Name: "KubePersistentVolumeClaimPending", Severity: warning, For: "15m", Board: "storage namespace persistentvolumeclaim", Expr: `
		max by (cluster, namespace, persistentvolumeclaim) (
			kube_persistentvolumeclaim_status_phase{` + ns + `,phase="Pending"}
		) == 1
		and on (cluster, namespace, persistentvolumeclaim)
		kube_pod_spec_volumes_persistentvolumeclaims_info{job="kube-state-metrics"}`,
			Summary: "A pod waits for a volume.",
			Text:    `PersistentVolumeClaim {{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }} of a pod has no volume.`},
		{Name: "KubePersistentVolumeClaimLost", Severity: critical, For: "5m", Board: "storage namespace persistentvolumeclaim", Expr: `
		max by (cluster, namespace, persistentvolumeclaim) (
			kube_persistentvolumeclaim_status_phase{` + ns + `,phase="Lost"}
		) == 1`,
			Summary: "The volume of a claim is gone.",
			Text:    `PersistentVolumeClaim {{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }} is bound to a PersistentVolume that does not exist any more.`},
		{Name: "KubeVolumeAttachmentStuck", Severity: warning, For: "15m", Board: "storage", Expr: `
		max by (cluster, volumeattachment) (kube_volumeattachment_status_attached{job="kube-state-metrics"}) == 0`,
			Summary: "A volume is not attached.",
			Text:    `VolumeAttachment {{ $labels.volumeattachment }} was asked for and is not attached.`},
		{Name: "KubeVolumeOperationsFailing", Severity: warning, For: "10m", Board: "storage", Params: map[string]string{"failures": "3"}, Expr: `
		sum by (cluster, job, instance, volume_plugin, operation_name) (
			increase(storage_operation_duration_seconds_count{job=~"kubelet|kube-controller-manager",status="fail-unknown"}[15m])
		) > <failures>`,
			Summary: "Volume operations fail.",
			Text:    `{{ $labels.operation_name }} of {{ $labels.volume_plugin }} failed {{ printf "%.0f" $value }} times in 15 minutes at {{ $labels.instance }} ({{ $labels.job }}).`},
	}
}

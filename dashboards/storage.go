package dashboards

func storage() Dashboard {
	const claim = "{{namespace}}/{{persistentvolumeclaim}}"
	return Dashboard{
		UID: "crowsnest-storage", Title: "Storage",
		Question: "Which volume fills up, and when?",
		Variables: []Variable{clusterVariable, namespaceVariable,
			several("persistentvolumeclaim", "Claim", `label_values(kube_persistentvolumeclaim_status_phase{<namespace>}, persistentvolumeclaim)`)},
		from: "now-24h", refresh: "5m",
		Annotations: happenings("<namespace>"),
		Rows: []Row{
			{Title: "Claims", Panels: []Panel{
				table("Claims", "How full each claim is, and when it will be full if it grows as it did in the last six hours (nothing: it does not grow).", append(
					needs(needVolumeStats,
						q(used("bytes"), "Used").in(ratio).warn(.8, .9),
						q(ofClaim(`kubelet_volume_stats_used_bytes{<claim>}`), "Bytes").in(bytes),
						q(ofClaim(`kubelet_volume_stats_capacity_bytes{<claim>}`), "Size").in(bytes),
						q(used("inodes"), "Inodes used").in(ratio).warn(.8, .9),
						q(ofClaim(`kubelet_volume_stats_available_bytes{<claim>} / (deriv(kubelet_volume_stats_used_bytes{<claim>}[6h]) > 0)`), "Full in").in(duration).below(4*24*3600, 24*3600)),
					q(ofClaim(`kube_persistentvolumeclaim_resource_requests_storage_bytes{<claim>}`), "Requested").in(bytes).needs(needClaim))...).
					sortBy("Used").good("No claims").link(toNamespace),
				graph("Used", "Share of each claim's bytes.", ratio, q(used("bytes"), claim).needs(needVolumeStats)).share().warn(.8, .9).good("No volume reports its use"),
				graph("Inodes used", "Share of each claim's inodes: a volume of many small files is full without being full.", ratio, q(used("inodes"), claim).needs(needVolumeStats)).share().warn(.8, .9).good("No volume reports its use"),
				graph("Growth", "Bytes per second by which claims grow; below zero they shrink.", bytesPerSec,
					q(`max by (namespace, persistentvolumeclaim) (deriv(kubelet_volume_stats_used_bytes{<claim>}[1h]))`, claim).needs(needVolumeStats)).good("No volume reports its use"),
				table("Claims by state", "Pending claims wait for a volume or for their first pod; Lost ones have lost theirs.",
					q(`max by (namespace, persistentvolumeclaim, phase) (kube_persistentvolumeclaim_status_phase{<claim>} == 1)`, "State").in(number).needs(needClaim)).
					hide("Value").good("No claims").size(12, 8),
			}},
			{Title: "Volumes", Panels: []Panel{
				graph("Volumes by state", "Released volumes keep data that nobody claims; Failed ones need a hand.", number,
					q(`sum by (phase) (kube_persistentvolume_status_phase{<cluster>})`, "{{phase}}").needs(needVolume)).stack().good("No volumes").size(8, 8),
				table("Storage classes", "Space that volumes of each class have.", needs(needVolume,
					q(`sum by (storageclass) (kube_persistentvolume_capacity_bytes{<cluster>} * on (cluster, persistentvolume) group_left (storageclass) max by (cluster, persistentvolume, storageclass) (kube_persistentvolume_info{<cluster>}))`, "Bytes").in(bytes),
					q(`count by (storageclass) (kube_persistentvolume_info{<cluster>})`, "Volumes").in(number))...).good("No volumes").size(8, 8),
				graph("Attached volumes", "Volumes attached to each node.", number,
					q(`count by (node) (kube_volumeattachment_info{<cluster>})`, "{{node}}").needs(needAttachment)).good("No attachments").size(8, 8).link(toNode),
				table("Attachments not done", "Attachments that a driver has not finished.",
					q(`max by (node, attacher, volumeattachment) (kube_volumeattachment_info{<cluster>} and on (cluster, volumeattachment) kube_volumeattachment_status_attached{<cluster>} == 0)`, "Waits").in(number).needs(needAttachment)).
					hide("Value").good("All volumes are attached").link(toNode).size(8, 8),
				graph("Volume operations", "Mounts, unmounts and attachments by outcome, as kubelets and the controller-manager do them.", perSecond,
					q(`sum by (operation_name, status) (rate(storage_operation_duration_seconds_count{<cluster>}[$__rate_interval]))`, "{{operation_name}} {{status}}")).fromZero().size(8, 8),
				graph("Time of volume operations", "99th percentile by operation.", seconds,
					q(`histogram_quantile(0.99, sum by (operation_name, le) (rate(storage_operation_duration_seconds_bucket{<cluster>}[$__rate_interval])))`, "{{operation_name}}")).fromZero().size(8, 8),
			}},
			{Title: "Disks of nodes", Panels: []Panel{
				graph("File systems of nodes", "The ten fullest.", ratio,
					q(`topk(10, 1 - node_filesystem_avail_bytes{<hosts>, <fs>} / node_filesystem_size_bytes{<hosts>, <fs>})`, "{{instance}} {{mountpoint}}")).share().warn(.8, .9).link(toHost),
				graph("Disk queue", "Mean number of requests waiting. What stays above 10 slows everything on the node.", number,
					q(`topk(10, rate(node_disk_io_time_weighted_seconds_total{<hosts>, <disk>}[$__rate_interval]))`, "{{instance}} {{device}}").needs(needDisk)).fromZero().warn(10).link(toHost),
			}},
		},
	}
}

func ofClaim(expr string) string { return `max by (namespace, persistentvolumeclaim) (` + expr + `)` }

// used is a share of a claim's bytes or inodes.
func used(what string) string {
	if what == "inodes" {
		return ofClaim(`kubelet_volume_stats_inodes_used{<claim>} / (kubelet_volume_stats_inodes{<claim>} > 0)`)
	}
	return ofClaim(`kubelet_volume_stats_used_bytes{<claim>} / kubelet_volume_stats_capacity_bytes{<claim>}`)
}

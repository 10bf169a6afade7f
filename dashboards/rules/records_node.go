package rules

// disks are the block devices that node-mixin looks at.
const disks = `device=~"(/dev/)?(mmcblk.p.+|nvme.+|rbd.+|sd.+|vd.+|xvd.+|dm-.+|md.+|dasd.+)"`

// available is the memory that programs can still get; kernels before 3.14 do not tell it.
const available = `(
		  node_memory_MemAvailable_bytes{job="node-exporter"}
		or
		  (
		      node_memory_Buffers_bytes{job="node-exporter"}
		    + node_memory_Cached_bytes{job="node-exporter"}
		    + node_memory_MemFree_bytes{job="node-exporter"}
		    + node_memory_Slab_bytes{job="node-exporter"}
		  )
		)`

// busy are the modes of a CPU that is at work.
const busy = `mode!="idle",mode!="iowait",mode!="steal"`

// named gives node_* series the label node: of agents they have it, elsewhere
// only instance holds the node's name.
func named(series string) string {
	return `label_replace(` + series + `, "node", "$1", "instance", "(.+)")`
}

func nodeRecords() File {
	network := func(direction, what string) []Record {
		series := "node_network_" + direction + "_" + what
		rate := func(devices string) string {
			return `sum without (device) (rate(` + series + `_total{job="node-exporter",` + devices + `}[5m]))`
		}
		return []Record{
			{Name: "instance:" + series + "_excluding_lo:rate5m", Expr: rate(`device!="lo"`)},
			{Name: "instance:" + series + "_physical:rate5m", Expr: rate(`device!~"lo|veth.+"`)},
		}
	}
	use := []Record{
		{Name: "instance:node_num_cpu:sum", Expr: `count without (cpu, mode) (node_cpu_seconds_total{job="node-exporter",mode="idle"})`},
		{Name: "instance:node_cpu_utilisation:rate5m", Expr: `
		1 - avg without (cpu) (
			sum without (mode) (rate(node_cpu_seconds_total{job="node-exporter",mode=~"idle|iowait|steal"}[5m]))
		)`},
		{Name: "instance:node_load1_per_cpu:ratio", Expr: `node_load1{job="node-exporter"} / instance:node_num_cpu:sum{job="node-exporter"}`},
		{Name: "instance:node_memory_utilisation:ratio", Expr: `
		1 - ` + available + ` / node_memory_MemTotal_bytes{job="node-exporter"}`},
		{Name: "instance:node_vmstat_pgmajfault:rate5m", Expr: `rate(node_vmstat_pgmajfault{job="node-exporter"}[5m])`},
		{Name: "instance_device:node_disk_io_time_seconds:rate5m", Expr: `rate(node_disk_io_time_seconds_total{job="node-exporter",` + disks + `}[5m])`},
		{Name: "instance_device:node_disk_io_time_weighted_seconds:rate5m", Expr: `rate(node_disk_io_time_weighted_seconds_total{job="node-exporter",` + disks + `}[5m])`},
	}
	for _, direction := range []string{"receive", "transmit"} {
		use = append(use, network(direction, "bytes")...)
		use = append(use, network(direction, "drop")...)
	}
	return File{Name: "node-records", Groups: []Group{
		{Name: "node-exporter.rules", Records: use},
		{Name: "kube-prometheus-node-recording.rules", Records: []Record{
			{Name: "instance:node_cpu:rate:sum", Expr: `sum by (cluster, instance) (rate(node_cpu_seconds_total{` + busy + `}[3m]))`},
			{Name: "instance:node_network_receive_bytes:rate:sum", Expr: `sum by (cluster, instance) (rate(node_network_receive_bytes_total[3m]))`},
			{Name: "instance:node_network_transmit_bytes:rate:sum", Expr: `sum by (cluster, instance) (rate(node_network_transmit_bytes_total[3m]))`},
			{Name: "instance:node_cpu:ratio", Expr: `
		sum without (cpu, mode) (rate(node_cpu_seconds_total{` + busy + `}[5m]))
		/ on (cluster, instance) group_left ()
		count by (cluster, instance) (sum by (cluster, instance, cpu) (node_cpu_seconds_total))`},
			{Name: "cluster:node_cpu:sum_rate5m", Expr: `sum by (cluster) (rate(node_cpu_seconds_total{` + busy + `}[5m]))`},
			{Name: "cluster:node_cpu:ratio", Expr: `
		cluster:node_cpu:sum_rate5m
		/
		count by (cluster) (sum by (cluster, instance, cpu) (node_cpu_seconds_total))`},
		}},
		{Name: "kube-prometheus-general.rules", Records: []Record{
			{Name: "count:up1", Expr: `count without (instance, pod, node) (up == 1)`},
			{Name: "count:up0", Expr: `count without (instance, pod, node) (up == 0)`},
		}},
		{Name: "node.rules", Records: []Record{
			{Name: "node_namespace_pod:kube_pod_info:", Expr: `
		topk by (cluster, namespace, pod) (1,
			max by (cluster, node, namespace, pod) (kube_pod_info{job="kube-state-metrics",node!=""})
		)`},
			{Name: "node:node_num_cpu:sum", Expr: `count by (cluster, node) (` + named(`node_cpu_seconds_total{job="node-exporter",mode="idle"}`) + `)`},
			{Name: ":node_memory_MemAvailable_bytes:sum", Expr: `
		sum by (cluster) ` + available},
			{Name: "node:node_cpu_utilization:ratio_rate5m", Expr: `
		avg by (cluster, node) (
			sum without (mode) (
				` + named(`rate(node_cpu_seconds_total{job="node-exporter",`+busy+`}[5m])`) + `
			)
		)`},
			{Name: "cluster:node_cpu:ratio_rate5m", Expr: `avg by (cluster) (node:node_cpu_utilization:ratio_rate5m)`},
		}},
	}}
}

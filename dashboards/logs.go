package dashboards

// Loki's own variables: a cluster may have logs and no metrics.
var logVariables = []Variable{
	{Name: "cluster", Label: "Cluster", Source: Loki, Query: "cluster"},
	{Name: "namespace", Label: "Namespace", Source: Loki, Query: "namespace", all: ".+"},
	{Name: "service", Label: "Service", Source: Loki, Query: "service_name", all: ".*"},
	{Name: "pod", Label: "Pod", Source: Loki, Query: "pod", all: ".*"},
	{Name: "severity", Label: "Severity", kind: fixed, all: ".*",
		values: []string{"critical", "fatal", "error", "warn", "info", "debug", "trace", "unknown"}},
	{Name: "search", Label: "Search", kind: text},
}

const (
	stream = `{<namespace>, service_name=~"$service", pod=~"$pod"}`
	// severity is Loki's own finding; it is there for every line.
	severity = ` | detected_level=~"$severity"`
	matching = stream + " |~ `(?i)$search`" + severity
	failing  = stream + " | detected_level=~\"error|critical|fatal\""
	// owner is the object that made the pod, whichever kind it has.
	owner = ` | label_format workload="{{or .k8s_deployment_name .k8s_statefulset_name .k8s_daemonset_name .k8s_cronjob_name .k8s_job_name .pod}}"`
)

func logs() Dashboard {
	return Dashboard{
		UID: "crowsnest-logs", Title: "Logs",
		Question:    "Who writes what, and where are the errors?",
		Variables:   logVariables,
		Annotations: happenings("<namespace>"),
		Rows: []Row{
			{Title: "Volume", Panels: []Panel{
				stat("Lines", "Lines in the chosen time.", number, lq(`sum(count_over_time(`+matching+` [$__range]))`, "lines")),
				stat("Errors", "Lines of severity error and above in the chosen time.", number,
					lq(`sum(count_over_time(`+failing+` [$__range])) or vector(0)`, "errors")).warn(1, 100),
				stat("Share of errors", "Errors of all lines in the chosen time.", ratio,
					lq(`(sum(count_over_time(`+failing+` [$__range])) or vector(0)) / sum(count_over_time(`+stream+` [$__range]))`, "errors")).warn(.01, .05),
				stat("Bytes", "Bytes of lines in the chosen time, before compression.", bytes, lq(`sum(bytes_over_time(`+stream+` [$__range]))`, "bytes")),
				stat("Streams that write", "Containers with a line in the chosen time.", number,
					lq(`count(sum by (namespace, pod, container) (count_over_time(`+stream+` [$__range])))`, "containers")),
				stat("Lines with a trace", "Lines that carry a trace id: they open their trace.", number,
					lq(`sum(count_over_time(`+stream+` | trace_id!="" [$__range])) or vector(0)`, "lines").needs(needTraceIDs)),
				bars("Lines by severity", "Lines that match the search.", lines,
					lq(`sum by (detected_level) (count_over_time(`+matching+` [$__auto]))`, "{{detected_level}}")).size(gridWidth, 7),
				graph("Lines by namespace", "Lines per second.", linesPerSec,
					lq(`sum by (namespace) (rate(`+matching+` [$__auto]))`, "{{namespace}}")).stack(),
				graph("Bytes by namespace", "Bytes of lines per second, before compression.", bytesPerSec,
					lq(`sum by (namespace) (bytes_rate(`+matching+` [$__auto]))`, "{{namespace}}")).stack(),
				graph("Lines by workload", "The ten workloads that write most lines per second.", linesPerSec,
					lq(`topk(10, sum by (namespace, workload) (rate(`+matching+owner+` [$__auto])))`, "{{namespace}}/{{workload}}")),
				graph("Lines by stream", "Standard output and standard error.", linesPerSec,
					lq(`sum by (stream) (rate(`+matching+` [$__auto]))`, "{{stream}}")).stack(),
			}},
			{Title: "Errors", Panels: []Panel{
				graph("Errors by workload", "The ten workloads with most errors per second.", linesPerSec,
					lq(`topk(10, sum by (namespace, workload) (rate(`+failing+owner+` [$__auto])))`, "{{namespace}}/{{workload}}").needs(needErrors)).good("No errors").fromZero(),
				ranking("Errors by container", "The ten containers with most errors in the chosen time.", number,
					lq(`topk(10, sum by (namespace, pod, container) (count_over_time(`+failing+` [$__range])))`, "{{namespace}}/{{pod}} {{container}}").needs(needErrors)).
					good("No errors").warn(1, 100).link(toPod).size(12, 8),
				records("Errors", "The newest lines of severity error and above.", lq(failing, "").needs(needErrors)),
			}},
			{Title: "Search", Panels: []Panel{
				records("Lines", "Lines that match the search, newest first. A line with a trace id opens its trace.", lq(matching, "")).size(gridWidth, 16),
			}},
		},
	}
}

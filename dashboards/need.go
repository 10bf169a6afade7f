package dashboards

import "slices"

// Need is what a cluster must have before a query can return data, in words.
// An empty answer is right without it.
type Need string

const (
	// The good state of these is to return nothing.
	needWaiting       Need = "a container that waits"
	needTermination   Need = "a container that has terminated"
	needFailure       Need = "a container that has terminated with an error"
	needOOM           Need = "a container killed for memory"
	needProbeFailure  Need = "a probe that fails"
	needUnschedulable Need = "a pod that no node takes"
	needNotReady      Need = "a pod that is not ready"
	needBadNode       Need = "a node with a bad condition"
	needFailedJob     Need = "a job that has failed"
	needEviction      Need = "an eviction"
	needMissing       Need = "a workload with fewer pods than it wants"
	needThrottling    Need = "a container with a CPU limit"
	needDrops         Need = "items dropped by Crowsnest"
	needErrors        Need = "requests with errors"
	needNoEndpoint    Need = "a Service without a ready endpoint"
	needBadVolume     Need = "a volume or claim that is not bound"
	needRollout       Need = "a rollout lately"
	needNewPod        Need = "a pod created lately"

	// These need an object or a part that not every cluster has.
	needHPA         Need = "a HorizontalPodAutoscaler"
	needMeasured    Need = "a HorizontalPodAutoscaler that is told its metric"
	needAutoscaler  Need = "the cluster autoscaler, scraped"
	needQuota       Need = "a ResourceQuota"
	needLimitRange  Need = "a LimitRange"
	needPDB         Need = "a PodDisruptionBudget"
	needClaim       Need = "a PersistentVolumeClaim"
	needVolume      Need = "a PersistentVolume"
	needVolumeStats Need = "a mounted volume whose driver reports use"
	needAttachment  Need = "a VolumeAttachment"
	needIngress     Need = "an Ingress"
	needCronJob     Need = "a CronJob"
	needJob         Need = "a Job"
	needDaemonSet   Need = "a DaemonSet"
	needStatefulSet Need = "a StatefulSet"
	needPriority    Need = "a pod with a priority class"
	needTaint       Need = "a node with a taint"
	needLimits      Need = "a container with requests and limits"
	needDisk        Need = "a node whose disks the kernel reports"
	needPSI         Need = "a kernel with pressure stall information"
	needConntrack   Need = "a node that tracks connections"
	needBlockIO     Need = "a runtime that reports block I/O of containers"
	needTraces      Need = "spans"
	needTraceIDs    Need = "log lines with a trace id"
	needScheduler   Need = "the scheduler, scraped"
	needManager     Need = "the controller-manager, scraped"
	needEtcd        Need = "etcd, scraped"
	needDNS         Need = "CoreDNS, scraped"
	needProxy       Need = "kube-proxy, scraped"
	needSpool       Need = "an agent with metrics or traces"
	needFault       Need = "something that fails and is tried again"
	needRules       Need = "kubernetes-mixin's recording rules"
)

// needs says the same of all queries.
func needs(need Need, queries ...Query) []Query {
	for i := range queries {
		queries[i].Needs = need
	}
	return queries
}

// NotApplicable lists what dashboards need beyond a plain cluster, sorted, so
// that a check can say of each whether its cluster has it.
func NotApplicable() []Need {
	var all []Need
	for _, dashboard := range All() {
		for _, panel := range dashboard.Panels() {
			for _, query := range panel.Queries {
				if query.Needs != "" && !slices.Contains(all, query.Needs) {
					all = append(all, query.Needs)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

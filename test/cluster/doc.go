// Package cluster runs a real Kubernetes cluster for tests, on a Linux machine
// without a container engine: etcd, kube-apiserver, controller-manager,
// scheduler, and per node containerd with runc and CNI, kubelet, kube-proxy;
// CoreDNS as a pod. Where kind and a working Docker engine exist, it uses them
// instead. Nothing is pulled from a registry of images.
//
// A node is one set of namespaces (mount, network, pid, uts, ipc, cgroup) whose
// pid 1 is files/init.sh. It has /var/lib, /var/log and /run of its own, sees its
// cgroup as the root of all cgroups, and so has the paths of a real node
// (/var/log/pods, /run/containerd/containerd.sock, /kubepods/...). Killing its
// pid 1 ends every process, mount and address of it. What the machine gets is a
// bridge, a veth and routes, by which tests reach pods, Services and NodePorts,
// a cgroup per node, and the Debian packages named in packages.go. The nodes
// have no way out.
//
//	make cluster                           # up in seconds once built
//	export KUBECONFIG=.cluster/kubeconfig PATH=$PWD/.cluster/bin:$PATH
//	go run ./test/cluster/ctl              # says what else there is
//	make cluster-down
//
// Programs are built from pinned modules beside this file, once: about 20 min on
// two idle cores (kubernetes/, which also has etcd, CoreDNS and Helm, so that
// they are compiled against the same packages; containerd/; cniplugins/). State
// is in the cache folder too and is thrown away by Down; etcd does not sync.
//
// Differences from a node that is a machine of its own:
//   - Its capacity is that of the machine; its cgroups are v2 or v1 as the
//     machine's are.
//   - Container processes keep oom_score_adj >= 0, and kubelet's limit of open
//     files is 20,000: raising either takes CAP_SYS_RESOURCE, which root in a
//     sandbox often lacks.
//   - cAdvisor's container_oom_events_total stays 0: the kernel names the
//     victim's cgroup as the machine sees it. The pod's status says OOMKilled.
//   - No NetworkPolicy is enforced (the ptp plugin does not), no storage class,
//     no metrics-server, IPv4 only.
package cluster

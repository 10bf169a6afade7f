package cluster

import (
	"path"
	"strings"

	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

// kubernetesVersion is that of kubernetes/go.mod; a build from modules does not
// know it.
const kubernetesVersion = "v1.37.2"

const (
	pauseImage   = "crowsnest.local/pause:1"
	coreDNSImage = "crowsnest.local/coredns:1"
)

// The first takes the longest: it compiles what the others share.
var (
	apiserverProgram = kubernetesProgram("kube-apiserver", 8)
	kubeletProgram   = kubernetesProgram("kubelet", 3)
	kubectlProgram   = kubernetesProgram("kubectl", 1)
	helmProgram      = toolchain.Program{
		Name: "helm", Module: "test/cluster/kubernetes", Package: "helm.sh/helm/v4/cmd/helm",
		Flags: []string{"-ldflags", "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1"}, Minutes: 3,
	}
	etcdProgram = toolchain.Program{
		Name: "etcd", Module: "test/cluster/kubernetes", Package: "go.etcd.io/etcd/server/v3",
		Flags: []string{"-ldflags", "-s -w"}, Minutes: 1,
	}
	coreDNSProgram = toolchain.Program{
		Name: "coredns", Module: "test/cluster/kubernetes", Package: "./coredns",
		Flags: []string{"-ldflags", "-s -w"}, Minutes: 2,
	}
	containerdProgram = containerdModuleProgram("github.com/containerd/containerd/v2/cmd/containerd", 2)
	shimProgram       = containerdModuleProgram("github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", 1)
	ctrProgram        = containerdModuleProgram("github.com/containerd/containerd/v2/cmd/ctr", 1)
	pauseProgram      = containerdModuleProgram("./pause", 1)
)

// nodePrograms are all that a native cluster runs.
var nodePrograms = []toolchain.Program{
	apiserverProgram, kubeletProgram, etcdProgram,
	kubernetesProgram("kube-controller-manager", 1),
	kubernetesProgram("kube-scheduler", 1),
	kubernetesProgram("kube-proxy", 1),
	containerdProgram, shimProgram, ctrProgram, pauseProgram, coreDNSProgram,
	cniProgram("main/ptp"), cniProgram("ipam/host-local"), cniProgram("meta/portmap"),
}

func kubernetesProgram(name string, minutes int) toolchain.Program {
	major, minor, _ := strings.Cut(strings.TrimPrefix(kubernetesVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	flags := "-s -w"
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags += " -X " + pkg + ".gitVersion=" + kubernetesVersion + " -X " + pkg + ".gitMajor=" + major +
			" -X " + pkg + ".gitMinor=" + minor + " -X " + pkg + ".gitTreeState=clean"
	}
	return toolchain.Program{
		Name: name, Module: "test/cluster/kubernetes", Package: "k8s.io/kubernetes/cmd/" + name,
		Flags: []string{"-ldflags", flags}, Minutes: minutes,
	}
}

func containerdModuleProgram(pkg string, minutes int) toolchain.Program {
	return toolchain.Program{
		Name: path.Base(pkg), Module: "test/cluster/containerd", Package: pkg,
		Flags: []string{"-ldflags", "-s -w -X github.com/containerd/containerd/v2/version.Version=v2.4.2"}, Minutes: minutes,
	}
}

func cniProgram(plugin string) toolchain.Program {
	return toolchain.Program{
		Name: path.Base(plugin), Module: "test/cluster/cniplugins",
		Package: "github.com/containernetworking/plugins/plugins/" + plugin,
		Flags:   []string{"-ldflags", "-s -w"}, Minutes: 1,
	}
}

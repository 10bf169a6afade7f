package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// controlPlane runs on the first node, nodeDaemons on every node; in the order
// in which they are started.
var (
	controlPlane = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
	nodeDaemons  = []string{"containerd", "kubelet", "kube-proxy"}
)

// startAll starts what does not run, and waits where the next one ends if it
// does not find the one before.
func (m *native) startAll(ctx context.Context) error {
	first := m.nodes[0]
	if err := m.startOn(ctx, first, "etcd"); err != nil {
		return err
	}
	for _, n := range m.nodes {
		if err := m.startOn(ctx, n, "containerd"); err != nil {
			return err
		}
	}
	if err := m.startOn(ctx, first, "kube-apiserver"); err != nil {
		return err
	}
	if err := m.importOwnImages(ctx); err != nil {
		return err
	}
	if err := m.waitForAPI(ctx); err != nil {
		return err
	}
	for _, daemon := range []string{"kube-controller-manager", "kube-scheduler"} {
		if err := m.startOn(ctx, first, daemon); err != nil {
			return err
		}
	}
	for _, n := range m.nodes {
		if _, err := m.configureKubelet(n); err != nil {
			return err
		}
		if err := errors.Join(m.startOn(ctx, n, "kubelet"), m.startOn(ctx, n, "kube-proxy")); err != nil {
			return err
		}
	}
	return m.applyCoreDNS(ctx)
}

// importOwnImages waits until containerd answers, on every node.
func (m *native) importOwnImages(ctx context.Context) error {
	pause, err := programImage(ctx, pauseProgram, pauseImage, m.log)
	if err != nil {
		return err
	}
	dns, err := programImage(ctx, coreDNSProgram, coreDNSImage, m.log)
	if err != nil {
		return err
	}
	for _, n := range m.nodes {
		err := poll(ctx, readyLimit, "containerd of "+n.name, m.logOf(n, "containerd"), func(ctx context.Context) error {
			cmd, err := m.ctr(ctx, n, "images", "ls", "-q")
			if err != nil {
				return err
			}
			return errors.Join(m.runs(n, "containerd"), run(cmd))
		})
		if err != nil {
			return err
		}
	}
	return m.ImportImages(ctx, pause, dns)
}

func (m *native) waitForAPI(ctx context.Context) error {
	n := m.nodes[0]
	return poll(ctx, readyLimit, "kube-apiserver", m.logOf(n, "kube-apiserver"), func(ctx context.Context) error {
		if err := m.runs(n, "kube-apiserver"); err != nil {
			return err
		}
		return run(m.admin(ctx, "get", "--raw", "/readyz", "--request-timeout=5s"))
	})
}

func (m *native) applyCoreDNS(ctx context.Context) error {
	manifest := m.path("conf", "coredns.yaml")
	if _, err := writeConfig("coredns.yaml", m.settings(m.nodes[0]), manifest); err != nil {
		return err
	}
	return run(m.admin(ctx, "apply", "-f", manifest))
}

// waitReady waits for what a test may rely on.
func (m *native) waitReady(ctx context.Context, begin time.Time) error {
	nodes := []string{"wait", "--for=condition=Ready", "--timeout=1s"}
	for _, n := range m.nodes {
		nodes = append(nodes, "node/"+n.name)
	}
	for _, step := range []struct {
		what string
		args []string
	}{
		{"nodes Ready", nodes},
		// Pods are refused until their namespace has it.
		{"default service account", []string{"get", "serviceaccount", "default"}},
		{"CoreDNS", []string{"-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=1s"}},
	} {
		err := poll(ctx, readyLimit, step.what, m.logOf(m.nodes[0], "kubelet"), func(ctx context.Context) error {
			if err := m.runs(m.nodes[0], "kubelet"); err != nil {
				return err
			}
			return run(m.admin(ctx, step.args...))
		})
		if err != nil {
			return err
		}
		m.say("%s after %s", step.what, time.Since(begin).Round(100*time.Millisecond))
	}
	return nil
}

// admin is kubectl for the cluster's admin.
func (m *native) admin(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, m.kubectl, append([]string{"--kubeconfig", m.path("conf", "admin.kubeconfig")}, args...)...)
}

// runs is an error if the daemon does not.
func (m *native) runs(n node, daemon string) error {
	pid, err := n.daemon(daemon)
	if err == nil && pid == 0 {
		err = fmt.Errorf("%s of %s: %w", daemon, n.name, errGone)
	}
	return err
}

func (m *native) logOf(n node, daemon string) string {
	return m.path("logs", n.name+"-"+daemon+".log")
}

func (m *native) startOn(ctx context.Context, n node, daemon string) error {
	args := append([]string{daemon}, m.arguments(n, daemon)...)
	if err := n.start(ctx, daemon, m.logOf(n, daemon), args); err != nil {
		return fmt.Errorf("%s: %w", n.name, err)
	}
	return nil
}

func (m *native) Start(ctx context.Context, number int, daemon string) error {
	n, err := m.daemonNode(number, daemon)
	if err != nil {
		return err
	}
	return m.startOn(ctx, n, daemon)
}

func (m *native) Stop(ctx context.Context, number int, daemon string) error {
	n, err := m.daemonNode(number, daemon)
	if err != nil {
		return err
	}
	return n.signal(ctx, daemon, syscall.SIGTERM)
}

func (m *native) Kill(ctx context.Context, number int, daemon string) error {
	n, err := m.daemonNode(number, daemon)
	if err != nil {
		return err
	}
	return n.signal(ctx, daemon, syscall.SIGKILL)
}

func (m *native) daemonNode(number int, daemon string) (node, error) {
	n, err := m.node(number)
	if err != nil {
		return n, err
	}
	known := nodeDaemons
	if number == 1 {
		known = slices.Concat(controlPlane, nodeDaemons)
	}
	if !slices.Contains(known, daemon) {
		return n, fmt.Errorf("node %d has no daemon %q: want one of %s", number, daemon, strings.Join(known, ", "))
	}
	return n, nil
}

// arguments are a daemon's command line without its name. Daemons see this
// machine's files by the same paths, except for what a node has of its own.
func (m *native) arguments(n node, daemon string) []string {
	pki := func(file string) string { return m.path("pki", file) }
	conf := func(file string) string { return filepath.Join(n.dir, "conf", file) }
	own := m.path("conf", daemon+".kubeconfig")
	switch daemon {
	case "etcd":
		return []string{"--data-dir=" + m.path("etcd"), "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380",
			// For agents, as are those of the others: these listen on every address.
			"--listen-metrics-urls=http://" + m.net.node(1) + ":2381"}
	case "kube-apiserver":
		return []string{"--etcd-servers=http://127.0.0.1:2379",
			"--advertise-address=" + m.net.node(1), "--secure-port=6443", "--service-cluster-ip-range=" + m.net.services(),
			"--shutdown-watch-termination-grace-period=2s", // else a stop waits a minute for the watches
			"--client-ca-file=" + pki("ca.crt"), "--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + pki("sa.pub"), "--service-account-signing-key-file=" + pki("sa.key"),
			"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
			"--kubelet-client-certificate=" + pki("apiserver-kubelet.crt"), "--kubelet-client-key=" + pki("apiserver-kubelet.key"),
			"--requestheader-client-ca-file=" + pki("ca.crt"), "--requestheader-allowed-names=front-proxy",
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + pki("front-proxy.crt"), "--proxy-client-key-file=" + pki("front-proxy.key")}
	case "kube-controller-manager":
		// Pod addresses of a node are known from its number, not allocated.
		return []string{"--kubeconfig=" + own, "--authentication-kubeconfig=" + own, "--authorization-kubeconfig=" + own,
			"--leader-elect=false", "--use-service-account-credentials", "--root-ca-file=" + pki("ca.crt"),
			"--service-account-private-key-file=" + pki("sa.key"),
			"--cluster-signing-cert-file=" + pki("ca.crt"), "--cluster-signing-key-file=" + pki("ca.key"),
			"--flex-volume-plugin-dir=/var/lib/kubelet/volumeplugins"}
	case "kube-scheduler":
		return []string{"--kubeconfig=" + own, "--authentication-kubeconfig=" + own, "--authorization-kubeconfig=" + own,
			"--leader-elect=false"}
	case "containerd":
		return []string{"--config", conf("containerd.toml")}
	case "kubelet":
		return []string{"--config=" + conf("kubelet.yaml"), "--kubeconfig=" + conf("kubelet.kubeconfig"),
			"--hostname-override=" + n.name, "--node-ip=" + m.net.node(n.number),
			"--runtime-cgroups=/system.slice/containerd.service"}
	case "kube-proxy":
		return []string{"--config=" + conf("proxy.yaml")}
	}
	return nil
}

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// kind runs the nodes as containers of a Docker engine: https://kind.sigs.k8s.io
type kind struct {
	o   Options
	log io.Writer
}

// kindWorks tells whether both the program and an engine that answers are there.
func kindWorks(ctx context.Context) bool {
	return exec.CommandContext(ctx, "kind", "version").Run() == nil &&
		exec.CommandContext(ctx, "docker", "info").Run() == nil
}

func (k *kind) prepare(ctx context.Context) error {
	if !kindWorks(ctx) {
		return errors.New("kind is wanted, but kind version or docker info fails: install both, or set CLUSTER_BACKEND=native")
	}
	return nil
}

func (k *kind) up(ctx context.Context, kubeconfig string) error {
	exists, err := k.exists(ctx)
	if err != nil {
		return err
	}
	if exists {
		fmt.Fprintf(k.log, "cluster: %s is up in kind; to change its options run make cluster-down first\n", k.o.name())
		return run(exec.CommandContext(ctx, "kind", "export", "kubeconfig", "--name", k.o.name(), "--kubeconfig", kubeconfig))
	}
	config, err := os.CreateTemp("", "crowsnest-kind-*.yaml")
	if err != nil {
		return fmt.Errorf("create configuration of kind: %w", err)
	}
	defer os.Remove(config.Name())
	config.Close()
	if _, err := writeConfig("kind.yaml", k.o, config.Name()); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "kind", "create", "cluster", "--name", k.o.name(), "--config", config.Name(),
		"--kubeconfig", kubeconfig, "--wait", "3m")
	cmd.Stdout, cmd.Stderr = k.log, k.log // it shows its progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run kind create cluster: %w", err)
	}
	return k.approveServingCertificates(ctx)
}

func (k *kind) attach(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "kind", "get", "nodes", "--name", k.o.name()).Output()
	if err != nil {
		return fmt.Errorf("list nodes of kind: %w", err)
	}
	if k.o.Nodes = len(strings.Fields(string(out))); k.o.Nodes == 0 {
		return errors.New("it is not up: run make cluster")
	}
	return nil
}

// build: the programs are in kind's image of a node.
func (k *kind) build(context.Context) error { return nil }

func (k *kind) exists(ctx context.Context) (bool, error) {
	out, err := exec.CommandContext(ctx, "kind", "get", "clusters").Output()
	if err != nil {
		return false, fmt.Errorf("list clusters of kind: %w", err)
	}
	return slices.Contains(strings.Fields(string(out)), k.o.name()), nil
}

// approveServingCertificates has the cluster's authority sign what the kubelets
// ask for, so that who holds a service account's ca.crt can verify them.
func (k *kind) approveServingCertificates(ctx context.Context) error {
	const waiting = `{range .items[?(@.spec.signerName=="kubernetes.io/kubelet-serving")]}{.metadata.name}{"\n"}{end}`
	return poll(ctx, readyLimit, "kubelets' requests of certificates", "", func(ctx context.Context) error {
		out, err := k.admin(ctx, "get", "csr", "-o", "jsonpath="+waiting).Output()
		if err != nil {
			return fmt.Errorf("list requests of certificates: %w", err)
		}
		names := strings.Fields(string(out))
		if len(names) < k.o.Nodes {
			return fmt.Errorf("%d of %d kubelets have asked", len(names), k.o.Nodes)
		}
		return run(k.admin(ctx, append([]string{"certificate", "approve"}, names...)...))
	})
}

func (k *kind) down(ctx context.Context) error {
	return run(exec.CommandContext(ctx, "kind", "delete", "cluster", "--name", k.o.name()))
}

func (k *kind) remains(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "docker", "ps", "-a", "--format", "{{.Names}}",
		"--filter", "label=io.x-k8s.kind.cluster="+k.o.name()).Output()
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return strings.Fields(string(out)), nil
}

func (k *kind) ImportImages(ctx context.Context, archives ...string) error {
	for _, archive := range archives {
		if err := run(exec.CommandContext(ctx, "kind", "load", "image-archive", archive, "--name", k.o.name())); err != nil {
			return err
		}
	}
	return nil
}

func (k *kind) Start(ctx context.Context, node int, daemon string) error {
	if k.isStaticPod(daemon) {
		return k.inNode(ctx, node, "mv", k.parked(daemon), k.manifest(daemon))
	}
	return k.inNode(ctx, node, "systemctl", "start", daemon)
}

func (k *kind) Stop(ctx context.Context, node int, daemon string) error {
	if !k.isStaticPod(daemon) {
		return k.inNode(ctx, node, "systemctl", "stop", daemon)
	}
	if err := k.inNode(ctx, node, "mv", k.manifest(daemon), k.parked(daemon)); err != nil {
		return err
	}
	return poll(ctx, readyLimit, "end of "+daemon, "", func(ctx context.Context) error {
		if k.inNode(ctx, node, "pgrep", "-x", daemon[:min(15, len(daemon))]) == nil {
			return errors.New("it still runs")
		}
		return nil
	})
}

func (k *kind) Kill(ctx context.Context, node int, daemon string) error {
	if k.isStaticPod(daemon) {
		return k.inNode(ctx, node, "pkill", "-KILL", "-x", daemon[:min(15, len(daemon))])
	}
	if err := k.inNode(ctx, node, "systemctl", "kill", "--kill-whom=main", "--signal=KILL", daemon); err != nil {
		return err
	}
	return k.Stop(ctx, node, daemon) // or systemd starts it again
}

func (k *kind) isStaticPod(daemon string) bool { return slices.Contains(controlPlane, daemon) }
func (k *kind) manifest(daemon string) string {
	return filepath.Join("/etc/kubernetes/manifests", daemon+".yaml")
}
func (k *kind) parked(daemon string) string { return filepath.Join("/etc/kubernetes", daemon+".yaml") }

func (k *kind) NodeCommand(ctx context.Context, node int, args ...string) (*exec.Cmd, error) {
	name := k.o.name() + "-control-plane"
	switch {
	case node < 1 || node > k.o.Nodes:
		return nil, fmt.Errorf("cluster has nodes 1 to %d, not %d", k.o.Nodes, node)
	case node == 2:
		name = k.o.name() + "-worker"
	case node > 2:
		name = fmt.Sprintf("%s-worker%d", k.o.name(), node-1)
	}
	return exec.CommandContext(ctx, "docker", append([]string{"exec", name}, args...)...), nil
}

func (k *kind) inNode(ctx context.Context, node int, args ...string) error {
	cmd, err := k.NodeCommand(ctx, node, args...)
	if err != nil {
		return err
	}
	return run(cmd)
}

// admin is kubectl by the kubeconfig that kind gives.
func (k *kind) admin(ctx context.Context, args ...string) *exec.Cmd {
	kubeconfig, err := exec.CommandContext(ctx, "kind", "get", "kubeconfig", "--name", k.o.name()).Output()
	cmd := exec.CommandContext(ctx, filepath.Join(k.o.Dir, "bin", "kubectl"), append([]string{"--kubeconfig", "/dev/stdin"}, args...)...)
	cmd.Stdin, cmd.Err = bytes.NewReader(kubeconfig), err
	return cmd
}

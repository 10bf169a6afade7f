package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

// Cluster is one that runs. It keeps running when the program ends.
type Cluster struct {
	backend
	kubeconfig    string
	kubectl, helm string
}

// backend carries the nodes: this machine, or kind. Nodes count from 1; daemons
// are etcd, kube-apiserver, kube-controller-manager, kube-scheduler (of node 1),
// containerd, kubelet and kube-proxy.
type backend interface {
	// prepare checks the machine, and installs what it lacks.
	prepare(ctx context.Context) error
	// up starts what does not run yet, and leaves the kubeconfig of an admin.
	up(ctx context.Context, kubeconfig string) error
	// attach learns how many nodes there are; an error if the cluster is not up.
	attach(ctx context.Context) error
	// build builds what up needs, ahead of time.
	build(ctx context.Context) error
	// down ends everything, whether it is whole or not.
	down(ctx context.Context) error
	// remains lists what there is of the cluster on the machine.
	remains(ctx context.Context) ([]string, error)

	// ImportImages gives every node the images of docker or OCI archives. Use
	// them with a tag other than latest, or with imagePullPolicy IfNotPresent.
	ImportImages(ctx context.Context, archives ...string) error
	// Start starts a daemon that was stopped.
	Start(ctx context.Context, node int, daemon string) error
	// Stop asks a daemon to end and waits for it; containers live on.
	Stop(ctx context.Context, node int, daemon string) error
	// Kill is Stop by SIGKILL.
	Kill(ctx context.Context, node int, daemon string) error
	// NodeCommand runs a program of the node's file system inside of the node.
	NodeCommand(ctx context.Context, node int, args ...string) (*exec.Cmd, error)
}

// Up makes a cluster, or brings one that runs up to date: what is built is not
// built again, what runs is left alone unless it was made by other options or of
// other programs.
func Up(ctx context.Context, o Options, log io.Writer) (*Cluster, error) {
	c, err := open(ctx, o, log)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, o, log)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	if err := c.linkPrograms(ctx, log); err != nil {
		return nil, err
	}
	if err := c.up(ctx, c.kubeconfig); err != nil {
		return nil, fmt.Errorf("start cluster %s: %w", o.name(), err)
	}
	return c, nil
}

// Attach is the cluster of that number, which must be up. Of the options, it
// looks at Number, Dir and Backend.
func Attach(ctx context.Context, o Options, log io.Writer) (*Cluster, error) {
	c, err := open(ctx, o, log)
	if err != nil {
		return nil, err
	}
	if err := c.attach(ctx); err != nil {
		return nil, fmt.Errorf("find cluster %s: %w", o.name(), err)
	}
	return c, nil
}

// BuildAll builds the cluster's programs ahead of time, kubectl and helm first.
func BuildAll(ctx context.Context, o Options, log io.Writer) error {
	c, err := open(ctx, o, log)
	if err != nil {
		return err
	}
	if err := c.linkPrograms(ctx, log); err != nil {
		return err
	}
	return c.build(ctx)
}

func open(ctx context.Context, o Options, log io.Writer) (*Cluster, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("locate folder of the cluster's kubeconfig: %w", err)
	}
	b, err := newBackend(ctx, o, log)
	if err != nil {
		return nil, err
	}
	return &Cluster{
		backend: b, kubeconfig: filepath.Join(dir, "kubeconfig"),
		kubectl: filepath.Join(dir, "bin", "kubectl"), helm: filepath.Join(dir, "bin", "helm"),
	}, nil
}

// linkPrograms leaves what people call from a shell.
func (c *Cluster) linkPrograms(ctx context.Context, log io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(c.kubectl), 0o755); err != nil {
		return fmt.Errorf("make folder of kubectl and helm: %w", err)
	}
	for link, program := range map[string]toolchain.Program{c.kubectl: kubectlProgram, c.helm: helmProgram} {
		path, err := program.Build(ctx, log)
		if err != nil {
			return err
		}
		if err := replaceLink(path, link); err != nil {
			return fmt.Errorf("link %s: %w", program.Name, err)
		}
	}
	return nil
}

// Down ends the cluster of that number and removes every trace of it. Programs
// stay in the cache, kubectl and helm in the folder.
func Down(ctx context.Context, o Options, log io.Writer) error {
	b, err := newBackend(ctx, o, log)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, o, log)
	if err != nil {
		return err
	}
	defer unlock()
	if err := b.down(ctx); err != nil {
		return fmt.Errorf("end cluster %s: %w", o.name(), err)
	}
	if err := os.Remove(filepath.Join(o.Dir, "kubeconfig")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove kubeconfig: %w", err)
	}
	return nil
}

// Remains lists what there is of the cluster of that number on the machine:
// processes, namespaces, mounts, links, routes, cgroups, files. None after Down.
func Remains(ctx context.Context, o Options) ([]string, error) {
	b, err := newBackend(ctx, o, io.Discard)
	if err != nil {
		return nil, err
	}
	return b.remains(ctx)
}

// Kubeconfig is the path of an admin's.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Kubectl is the command with these arguments, for this cluster.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, c.kubectl, append([]string{"--kubeconfig", c.kubeconfig}, args...)...)
}

// Helm is the command with these arguments, for this cluster.
func (c *Cluster) Helm(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, c.helm, append([]string{"--kubeconfig", c.kubeconfig}, args...)...)
}

// lock keeps two programs from changing one cluster at once.
func lock(ctx context.Context, o Options, log io.Writer) (unlock func(), err error) {
	state, err := o.stateDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(state), 0o755); err != nil {
		return nil, fmt.Errorf("make cache folder: %w", err)
	}
	return toolchain.Lock(ctx, state+".lock", func() {
		fmt.Fprintf(log, "cluster: waiting for another program that changes %s\n", o.name())
	})
}

// replaceLink makes link a symbolic link to file, whatever it was, so that there
// is always one.
func replaceLink(file, link string) error {
	if err := os.RemoveAll(link + ".new"); err != nil {
		return err
	}
	if err := os.Symlink(file, link+".new"); err != nil {
		return err
	}
	return os.Rename(link+".new", link)
}

func newBackend(ctx context.Context, o Options, log io.Writer) (backend, error) {
	switch {
	case o.Backend == "kind", o.Backend == "" && kindWorks(ctx):
		return &kind{o: o, log: log}, nil
	default:
		return newNative(o, log)
	}
}

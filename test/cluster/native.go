package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// native runs the nodes on this machine.
type native struct {
	o       Options
	log     io.Writer
	net     network
	state   string
	nodes   []node
	paths   []string // of nodePrograms, once built
	kubectl string   // likewise
}

func newNative(o Options, log io.Writer) (*native, error) {
	state, err := o.stateDir()
	if err != nil {
		return nil, err
	}
	for _, hidden := range []string{"/var/lib/", "/var/log/", "/run/"} {
		if strings.HasPrefix(state, hidden) {
			return nil, fmt.Errorf("state of the cluster would be in %s, and nodes have a %s of their own:"+
				" set CROWSNEST_CACHE to a folder elsewhere", state, hidden)
		}
	}
	m := &native{o: o, log: log, state: state}
	m.setNodes(o.Nodes)
	return m, nil
}

func (m *native) setNodes(count int) {
	m.o.Nodes, m.net, m.nodes = count, network{number: m.o.Number, nodes: count}, nil
	for i := 1; i <= count; i++ {
		name := fmt.Sprintf("node-%d", i)
		m.nodes = append(m.nodes, node{
			number: i, name: name, cgroup: m.o.name() + "-" + name, dir: m.path(name), bin: m.path("bin"),
		})
	}
}

func (m *native) path(elements ...string) string {
	return filepath.Join(append([]string{m.state}, elements...)...)
}

func (m *native) say(format string, args ...any) {
	fmt.Fprintf(m.log, "cluster: "+format+"\n", args...)
}

func (m *native) up(ctx context.Context, kubeconfig string) error {
	if err := m.build(ctx); err != nil {
		return err
	}
	fingerprint, err := m.fingerprint()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := m.run(ctx, fingerprint); err != nil {
		return err
	}
	if err := m.writeKubeconfig("admin", kubeconfig); err != nil {
		return err
	}
	if err := m.waitReady(ctx, begin); err != nil {
		return err
	}
	m.say("%s is up after %s: export KUBECONFIG=%s", m.o.name(), time.Since(begin).Round(100*time.Millisecond), kubeconfig)
	return nil
}

// run leaves every daemon started.
func (m *native) run(ctx context.Context, fingerprint string) error {
	old, err := os.ReadFile(m.path("fingerprint"))
	if err == nil && string(old) == fingerprint && m.booted() {
		return m.refresh(ctx)
	}
	if err == nil {
		m.say("making %s anew: it is of other programs or options, or does not run", m.o.name())
	}
	if err := m.down(ctx); err != nil {
		return fmt.Errorf("end what is left of an earlier one: %w", err)
	}
	return m.create(ctx, fingerprint)
}

func (m *native) prepare(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("nodes run on Linux, this is %s: install kind and a Docker engine, which are then used instead", runtime.GOOS)
	}
	if os.Getuid() != 0 {
		return errors.New("nodes need root, for namespaces and cgroups: run as root, or install kind and a Docker engine, which are then used instead")
	}
	if _, err := hierarchies(); err != nil {
		return err
	}
	return installPackages(ctx, m.log)
}

func (m *native) attach(context.Context) error {
	found, err := cgroups(m.o.name() + "-node-")
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, dir := range found {
		names[filepath.Base(dir)] = true
	}
	m.setNodes(len(names))
	if len(found) == 0 || !m.booted() {
		return errors.New("it is not up: run make cluster")
	}
	return nil
}

func (m *native) build(ctx context.Context) (err error) {
	m.paths = make([]string, len(nodePrograms))
	for i, p := range nodePrograms {
		if m.paths[i], err = p.Build(ctx, m.log); err != nil {
			return err
		}
	}
	m.kubectl, err = kubectlProgram.Build(ctx, m.log)
	return err
}

// fingerprint says all that a cluster of these options is made from.
func (m *native) fingerprint() (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n", strings.Join(m.paths, "\n"))
	for _, n := range m.nodes {
		for _, daemon := range slices.Concat(controlPlane, nodeDaemons) {
			fmt.Fprintf(hash, "%q\n", m.arguments(n, daemon))
		}
	}
	entries, err := fs.ReadDir(files, "files")
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if entry.Name() == "kubelet.yaml" {
			continue // a running cluster takes that over
		}
		b, err := files.ReadFile("files/" + entry.Name())
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n%s", entry.Name(), len(b), b)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), nil
}

// booted tells whether every node has its pid 1.
func (m *native) booted() bool {
	for _, n := range m.nodes {
		if pid, err := n.init(); err != nil || pid == 0 {
			return false
		}
	}
	return true
}

// create makes a cluster where none is.
func (m *native) create(ctx context.Context, fingerprint string) error {
	m.say("starting %s of %d nodes", m.o.name(), m.o.Nodes)
	for _, dir := range []string{"pki", "logs", "bin", "conf"} {
		if err := os.MkdirAll(m.path(dir), 0o755); err != nil {
			return fmt.Errorf("make state folder: %w", err)
		}
	}
	for i, p := range nodePrograms {
		if err := replaceLink(m.paths[i], m.path("bin", p.Name)); err != nil {
			return fmt.Errorf("link %s: %w", p.Name, err)
		}
	}
	if err := m.certify(); err != nil {
		return err
	}
	if err := m.net.connect(ctx); err != nil {
		return fmt.Errorf("connect nodes: %w", err)
	}
	for _, n := range m.nodes {
		if err := m.createNode(ctx, n); err != nil {
			return err
		}
	}
	if err := m.startAll(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(m.path("fingerprint"), []byte(fingerprint), 0o644); err != nil {
		return fmt.Errorf("record what the cluster is made from: %w", err)
	}
	return nil
}

func (m *native) createNode(ctx context.Context, n node) error {
	if err := n.boot(ctx, m.path("logs", n.name+".log")); err != nil {
		return err
	}
	pid, err := n.init()
	if err != nil {
		return err
	}
	if err := m.net.plug(ctx, n.number, pid); err != nil {
		return fmt.Errorf("connect %s: %w", n.name, err)
	}
	return m.configureNode(n)
}

// refresh brings a running cluster to the options' kubelet configuration, and
// starts daemons that do not run.
func (m *native) refresh(ctx context.Context) error {
	for _, n := range m.nodes {
		changed, err := m.configureKubelet(n)
		if err != nil {
			return err
		}
		if changed {
			m.say("restarting kubelet of %s: its configuration changed", n.name)
			if err := n.signal(ctx, "kubelet", syscall.SIGTERM); err != nil {
				return err
			}
		}
	}
	return m.startAll(ctx)
}

func (m *native) configureKubelet(n node) (changed bool, err error) {
	return writeConfig("kubelet.yaml", m.settings(n), filepath.Join(n.dir, "conf", "kubelet.yaml"))
}

func (m *native) NodeCommand(ctx context.Context, number int, args ...string) (*exec.Cmd, error) {
	n, err := m.node(number)
	if err != nil {
		return nil, err
	}
	return n.command(ctx, "command", args...)
}

func (m *native) node(number int) (node, error) {
	if number < 1 || number > len(m.nodes) {
		return node{}, fmt.Errorf("cluster has nodes 1 to %d, not %d", len(m.nodes), number)
	}
	return m.nodes[number-1], nil
}

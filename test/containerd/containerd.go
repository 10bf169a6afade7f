// Package containerd runs a real containerd of its own for tests of what talks
// to the CRI socket, on a Linux machine as root: with runc, images of the test,
// pods on the machine's network. It has a mount and a pid namespace, so that
// nothing outlives it, and its containers are in a cgroup of its own.
package containerd

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
	"github.com/crowsnest-o11y/crowsnest/test/process"
	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

const (
	pauseImage = "crowsnest.local/pause:1"
	guestImage = "crowsnest.local/guest:1"
)

// The programs are those that the test cluster runs, so they are built once.
var (
	containerdProgram = program("github.com/containerd/containerd/v2/cmd/containerd")
	shimProgram       = program("github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2")
	ctrProgram        = program("github.com/containerd/containerd/v2/cmd/ctr")
	pauseProgram      = program("./pause")
)

func program(pkg string) toolchain.Program {
	return toolchain.Program{
		Name: filepath.Base(pkg), Module: "test/cluster/containerd", Package: pkg,
		Flags: []string{"-ldflags", "-s -w -X github.com/containerd/containerd/v2/version.Version=v2.4.2"}, Minutes: 1,
	}
}

// Containerd is one that runs.
type Containerd struct {
	Socket string // path
	Cgroup string // name of the cgroup that has all of its pods' cgroups
	Client cri.RuntimeServiceClient

	dir     string
	bin     string
	process *process.Process
	conn    *grpc.ClientConn
}

// Test starts one that ends with the test.
func Test(t testing.TB) *Containerd {
	t.Helper()
	c, err := start(t.Context(), os.Stderr)
	if c != nil {
		t.Cleanup(func() {
			if err := c.stop(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func start(ctx context.Context, progress io.Writer) (*Containerd, error) {
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("containerd needs root, for namespaces and cgroups: run this test as root")
	}
	if err := installRunc(ctx, progress); err != nil {
		return nil, err
	}
	// Not t.TempDir: a socket's path has 107 bytes at most.
	dir, err := os.MkdirTemp("", "cri")
	if err != nil {
		return nil, fmt.Errorf("make folder of containerd: %w", err)
	}
	c := &Containerd{Socket: dir + "/cri.sock", Cgroup: "crowsnest-" + filepath.Base(dir), dir: dir, bin: dir + "/bin"}
	if err := c.install(ctx, progress); err != nil {
		return c, err
	}
	if err := c.launch(ctx); err != nil {
		return c, err
	}
	return c, c.importImages(ctx, progress)
}

func installRunc(ctx context.Context, progress io.Writer) error {
	if _, err := exec.LookPath("runc"); err == nil {
		return nil
	}
	fmt.Fprintln(progress, "containerd: installing runc")
	for _, args := range [][]string{{"update", "-q"}, {"install", "-y", "-q", "--no-install-recommends", "runc"}} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("install runc: %w: %s", err, out)
		}
	}
	return nil
}

// install puts the programs where containerd finds them by PATH.
func (c *Containerd) install(ctx context.Context, progress io.Writer) error {
	if err := os.MkdirAll(c.bin, 0o755); err != nil {
		return fmt.Errorf("make folder of programs: %w", err)
	}
	for _, p := range []toolchain.Program{containerdProgram, shimProgram, ctrProgram} {
		path, err := p.Build(ctx, progress)
		if err != nil {
			return err
		}
		if err := os.Symlink(path, filepath.Join(c.bin, p.Name)); err != nil {
			return fmt.Errorf("link %s: %w", p.Name, err)
		}
	}
	config := fmt.Sprintf(configText, c.dir, c.Socket, pauseImage)
	if err := os.WriteFile(c.dir+"/config.toml", []byte(config), 0o600); err != nil {
		return fmt.Errorf("write configuration of containerd: %w", err)
	}
	return nil
}

const configText = `version = 3
root = "%[1]s/root"
state = "%[1]s/state"
[grpc]
address = "%[2]s"
[plugins.'io.containerd.internal.v1.opt']
path = "%[1]s/opt"
[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "%[3]s"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = false
`

// initScript is pid 1 of the namespace: it adopts what the shims leave.
const initScript = `"$0" --config "$1" --log-level warn & while kill -0 $! 2>/dev/null; do sleep 1; done`

func (c *Containerd) launch(ctx context.Context) error {
	var err error
	c.process, err = process.Start(ctx, process.Options{
		Path: "unshare",
		Args: []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
			"bash", "-c", initScript, c.bin + "/containerd", c.dir + "/config.toml"},
		Env:     append(os.Environ(), "PATH="+c.bin+":"+os.Getenv("PATH")),
		LogPath: c.dir + "/log",
		Ready:   c.ready,
	})
	return err
}

func (c *Containerd) ready(ctx context.Context) error {
	if c.conn == nil {
		conn, err := grpc.NewClient("unix://"+c.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
		if err != nil {
			return err
		}
		c.conn, c.Client = conn, cri.NewRuntimeServiceClient(conn)
	}
	if _, err := os.Stat(c.Socket); err != nil {
		return err
	}
	_, err := c.Client.Version(ctx, &cri.VersionRequest{})
	return err
}

func (c *Containerd) importImages(ctx context.Context, progress io.Writer) error {
	pause, err := pauseProgram.Build(ctx, progress)
	if err != nil {
		return err
	}
	guest := c.dir + "/guest"
	build := exec.CommandContext(ctx, "go", "build", "-o", guest, "github.com/crowsnest-o11y/crowsnest/test/containerd/guest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build guest: %w: %s", err, out)
	}
	for _, image := range []cluster.Image{
		{Name: pauseImage, Path: "/pause", File: pause},
		{Name: guestImage, Path: "/guest", File: guest},
	} {
		archive := c.dir + "/image.tar"
		if err := image.Write(archive); err != nil {
			return err
		}
		ctr := exec.CommandContext(ctx, c.bin+"/ctr", "--address", c.Socket, "--namespace", "k8s.io", "images", "import", archive)
		if out, err := ctr.CombinedOutput(); err != nil {
			return fmt.Errorf("import image %s: %w: %s", image.Name, err, out)
		}
	}
	return nil
}

// stop ends every process and removes every trace.
func (c *Containerd) stop() error {
	if c.conn != nil {
		c.conn.Close()
	}
	if c.process != nil {
		if err := c.process.Kill(); err != nil {
			return err
		}
	}
	if err := c.removeCgroups(); err != nil {
		return err
	}
	return os.RemoveAll(c.dir)
}

// removeCgroups waits until the kernel has reaped what was killed.
func (c *Containerd) removeCgroups() error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := c.tryRemoveCgroups()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *Containerd) tryRemoveCgroups() error {
	roots, _ := filepath.Glob("/sys/fs/cgroup/*/" + c.Cgroup)
	unified, _ := filepath.Glob("/sys/fs/cgroup/" + c.Cgroup)
	for _, root := range append(roots, unified...) {
		var dirs []string
		_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil // what is gone is gone
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			if err := syscall.Rmdir(dirs[i]); err != nil && err != syscall.ENOENT {
				return fmt.Errorf("remove cgroup %s: %w", dirs[i], err)
			}
		}
	}
	return nil
}

// Pod is a sandbox.
type Pod struct {
	ID, Namespace, Name, UID string
	config                   *cri.PodSandboxConfig
	c                        *Containerd
}

// Pod runs a sandbox, labelled as the kubelet does.
func (c *Containerd) Pod(ctx context.Context, namespace, name string) (*Pod, error) {
	uid := "00000000-0000-4000-8000-" + fmt.Sprintf("%012x", fnv(namespace+"/"+name)&0xffffffffffff)
	config := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Namespace: namespace, Uid: uid},
		LogDirectory: filepath.Join(c.dir, "logs", name),
		Labels: map[string]string{
			"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": uid,
		},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: "/" + c.Cgroup + "/kubepods/burstable/pod" + uid,
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER},
			},
		},
	}
	if err := os.MkdirAll(config.LogDirectory, 0o755); err != nil {
		return nil, fmt.Errorf("make folder of logs: %w", err)
	}
	resp, err := c.Client.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return nil, fmt.Errorf("run pod %s/%s: %w", namespace, name, err)
	}
	return &Pod{ID: resp.GetPodSandboxId(), Namespace: namespace, Name: name, UID: uid, config: config, c: c}, nil
}

func fnv(s string) (hash uint64) {
	hash = 14695981039346656037
	for _, b := range []byte(s) {
		hash = (hash ^ uint64(b)) * 1099511628211
	}
	return hash
}

// Run starts a container with a guest; attempt tells apart those of one name.
// A limit of 0 bytes is none.
func (p *Pod) Run(ctx context.Context, name string, attempt uint32, limit int64, args ...string) (id string, err error) {
	id, err = p.Create(ctx, name, attempt, limit, append([]string{"/guest"}, args...)...)
	if err != nil {
		return "", err
	}
	return id, p.c.Start(ctx, id)
}

// Start starts a container that was created.
func (c *Containerd) Start(ctx context.Context, id string) error {
	if _, err := c.Client.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: id}); err != nil {
		return fmt.Errorf("start container %s: %w", id, err)
	}
	return nil
}

// Create creates a container with this command of the guest's image.
func (p *Pod) Create(ctx context.Context, name string, attempt uint32, limit int64, command ...string) (id string, err error) {
	resources := &cri.LinuxContainerResources{}
	if limit > 0 {
		resources.MemoryLimitInBytes = limit
	}
	created, err := p.c.Client.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: p.ID,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: name, Attempt: attempt},
			Image:    &cri.ImageSpec{Image: guestImage, UserSpecifiedImage: guestImage},
			Command:  command,
			Labels: map[string]string{
				"io.kubernetes.pod.name": p.Name, "io.kubernetes.pod.namespace": p.Namespace,
				"io.kubernetes.pod.uid": p.UID, "io.kubernetes.container.name": name,
			},
			LogPath: fmt.Sprintf("%s-%d.log", name, attempt),
			Linux: &cri.LinuxContainerConfig{
				Resources: resources,
				SecurityContext: &cri.LinuxContainerSecurityContext{
					NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER},
				},
			},
		},
		SandboxConfig: p.config,
	})
	if err != nil {
		return "", fmt.Errorf("create container %s: %w", name, err)
	}
	return created.GetContainerId(), nil
}

// Wait waits until a container ended.
func (c *Containerd) Wait(ctx context.Context, id string) (*cri.ContainerStatus, error) {
	for {
		resp, err := c.Client.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
		if err != nil {
			return nil, fmt.Errorf("wait for container %s: %w", id, err)
		}
		if resp.GetStatus().GetState() == cri.ContainerState_CONTAINER_EXITED {
			return resp.GetStatus(), nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for container %s: %w", id, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Remove removes a container, which is killed if it runs.
func (c *Containerd) Remove(ctx context.Context, id string) error {
	_, err := c.Client.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: id})
	if err != nil {
		return fmt.Errorf("remove container %s: %w", id, err)
	}
	return nil
}

// Log is the end of what containerd wrote.
func (c *Containerd) Log() string { return strings.TrimSpace(string(c.process.LogTail())) }

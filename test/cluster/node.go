package cluster

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

//go:embed files/enter.sh
var enterScript string

//go:embed files/init.sh
var initScript string

// node is one set of namespaces. What it is can be seen from its cgroup alone,
// so that a cluster can be ended whose files are gone.
type node struct {
	number int
	name   string // as Kubernetes knows it
	cgroup string // in every hierarchy
	dir    string // its /var/lib, /var/log, /run, and its configuration
	bin    string // folder of the programs that daemons look for in PATH
}

// init is the pid of the node's pid 1 as this machine sees it, 0 if there is none.
func (n node) init() (int, error) {
	pids, err := processesOf(n.cgroup)
	if err != nil {
		return 0, err
	}
	scoped, err := processesOf(n.cgroup + "/" + initScope)
	if err != nil {
		return 0, err
	}
	for _, pid := range append(pids, scoped...) {
		if isInit(pid) {
			return pid, nil
		}
	}
	return 0, nil
}

// isInit tells whether a process is pid 1 of a pid namespace below ours.
func isInit(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false // it ended
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		if ids, ok := strings.CutPrefix(lines.Text(), "NSpid:"); ok {
			fields := strings.Fields(ids)
			return len(fields) > 1 && fields[len(fields)-1] == "1"
		}
	}
	return false
}

// boot starts the node's pid 1, and with it the namespaces.
func (n node) boot(ctx context.Context, log string) error {
	for _, dir := range []string{"var/lib", "var/log", "run", "sysctl", "conf/cni"} {
		if err := os.MkdirAll(filepath.Join(n.dir, dir), 0o755); err != nil {
			return fmt.Errorf("make folder of %s: %w", n.name, err)
		}
	}
	if err := makeCgroup(n.cgroup); err != nil {
		return err
	}
	cmd := n.enter(ctx, n.cgroup, "setsid", "--fork", "unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup",
		"--fork", "--kill-child", "--mount-proc", "bash", "-c", initScript, "init", n.name, n.dir)
	output, err := os.Create(log)
	if err != nil {
		return fmt.Errorf("create log of %s: %w", n.name, err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start pid 1 of %s: %w; see %s", n.name, err, log)
	}
	err = poll(ctx, processLimit, "pid 1 of "+n.name, log, func(context.Context) error {
		if _, err := os.Stat(filepath.Join(n.dir, "ready")); err != nil {
			return err
		}
		pid, err := n.init()
		if err == nil && pid == 0 {
			err = errors.New("it is not there")
		}
		return err
	})
	if err != nil {
		return err
	}
	return delegate(n.cgroup)
}

// enter is a command that moves into a cgroup and becomes args.
func (n node) enter(ctx context.Context, cgroup string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", enterScript, "enter", cgroup}, args...)...)
	points, _ := hierarchies() // looked at before
	cmd.Env = append(os.Environ(), "HIERARCHIES="+strings.Join(points, " "),
		"PATH="+n.bin+":"+os.Getenv("PATH")+":/usr/sbin:/sbin")
	return cmd
}

// command runs args in the node's namespaces and in a cgroup of this name.
func (n node) command(ctx context.Context, slice string, args ...string) (*exec.Cmd, error) {
	pid, err := n.init()
	if err != nil {
		return nil, err
	}
	if pid == 0 {
		return nil, fmt.Errorf("%s does not run", n.name)
	}
	nsenter := []string{"nsenter", "-t", strconv.Itoa(pid), "-m", "-n", "-p", "-u", "-i", "-C", "--"}
	return n.enter(ctx, n.serviceCgroup(slice), append(nsenter, args...)...), nil
}

// serviceCgroup is named as systemd would name it.
func (n node) serviceCgroup(name string) string {
	return n.cgroup + "/system.slice/" + name + ".service"
}

// start starts a daemon, unless it runs. It returns before the daemon is ready.
func (n node) start(ctx context.Context, name, log string, args []string) error {
	if pid, err := n.daemon(name); err != nil || pid != 0 {
		return err
	}
	// The shell ends in the daemon, an orphan that belongs to the node's pid 1.
	detach := []string{"setsid", "--fork", "sh", "-c", `exec "$@" >>"$0" 2>&1 </dev/null`, log}
	cmd, err := n.command(ctx, name, append(detach, args...)...)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	if err := run(cmd); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	return poll(ctx, processLimit, name, log, func(context.Context) error {
		pid, err := n.daemon(name)
		if err == nil && pid == 0 {
			err = errors.New("it is not there")
		}
		return err
	})
}

// daemon is its pid as this machine sees it, 0 if it does not run. Its cgroup
// has other processes, too: containerd's has the shims.
func (n node) daemon(name string) (int, error) {
	pids, err := processesOf(n.serviceCgroup(name))
	if err != nil {
		return 0, err
	}
	program, err := os.Readlink(filepath.Join(n.bin, name))
	if err != nil {
		return 0, fmt.Errorf("find program of %s: %w", name, err)
	}
	for _, pid := range pids {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && strings.TrimSuffix(exe, " (deleted)") == program {
			return pid, nil
		}
	}
	return 0, nil
}

// signal signals a daemon and waits for its end.
func (n node) signal(ctx context.Context, name string, signal syscall.Signal) error {
	pid, err := n.daemon(name)
	if err != nil || pid == 0 {
		return err
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end %s: %w", name, err)
	}
	return poll(ctx, processLimit, "end of "+name, "", func(context.Context) error {
		if now, err := n.daemon(name); err != nil || now == pid {
			return errors.Join(err, errors.New("it still runs"))
		}
		return nil
	})
}

// halt kills the node's pid 1, and with it all that it has; then removes its
// cgroups.
func (n node) halt(ctx context.Context) error {
	pid, err := n.init()
	if err != nil {
		return err
	}
	if pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill pid 1 of %s: %w", n.name, err)
		}
	}
	dirs, err := cgroups(n.cgroup)
	if err != nil {
		return err
	}
	return poll(ctx, processLimit, "end of "+n.name, "", func(context.Context) error {
		for _, dir := range dirs {
			if err := emptyCgroup(dir); err != nil {
				return err
			}
		}
		return nil
	})
}

// emptyCgroup kills what is left in a node's cgroup, such as a program that had
// not entered the namespaces yet, and removes it.
func emptyCgroup(dir string) error {
	pids, err := processesBelow(dir)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	if err := removeCgroup(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

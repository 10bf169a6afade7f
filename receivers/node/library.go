package node

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/node_exporter/collector"
)

// library guards the settings of node_exporter's collectors, which are
// variables of the process: its flags, and the collectors made, which it keeps.
// So they can be set once, and whoever comes later must want the same.
var library struct {
	sync.Mutex
	arguments []string // nil until set
}

// configure sets the library's flags. Receivers of the same arguments share them.
func configure(arguments []string) error {
	library.Lock()
	defer library.Unlock()
	if library.arguments != nil {
		if slices.Equal(library.arguments, arguments) {
			return nil
		}
		return fmt.Errorf("node_exporter's collectors were set up otherwise in this process, and can be once only: have one receiver of the type node, and restart after changing it (was %q, is %q)",
			library.arguments, arguments)
	}
	if _, err := kingpin.CommandLine.Parse(arguments); err != nil {
		return fmt.Errorf("set node_exporter's flags %q: %w", arguments, err)
	}
	library.arguments = arguments
	return nil
}

// usual are the flags that kube-prometheus sets: no file systems of
// containers, no host ends of pods' network links. The patterns see paths as
// the host has them, without root_path.
var usual = []struct{ flag, value string }{
	{"--collector.filesystem.mount-points-exclude", `^/(dev|proc|sys|run/k3s/containerd/.+|var/lib/docker/.+|var/lib/kubelet/pods/.+)($|/)`},
	{"--collector.netclass.ignored-devices", `^(veth.*|[a-f0-9]{15})$`},
	{"--collector.netdev.device-exclude", `^(veth.*|[a-f0-9]{15})$`},
}

// arguments are node_exporter's arguments for a configuration, with the host's
// proc seen at proc. foreign: the host's network is not that of this process,
// so must be read from files, where netlink would tell of our own.
func (c *Config) arguments(proc string, foreign bool) []string {
	args := []string{
		"--path.rootfs=" + c.RootPath,
		"--path.procfs=" + proc,
		"--path.sysfs=" + c.sys(),
		"--path.udev.data=" + strings.TrimSuffix(c.RootPath, "/") + "/run/udev/data",
	}
	for _, u := range usual {
		if !c.Collectors.sets(u.flag) {
			args = append(args, u.flag+"="+u.value)
		}
	}
	if foreign {
		args = append(args, "--no-collector.netdev.netlink", "--no-collector.arp.netlink")
	}
	for _, name := range c.Collectors.Enable {
		args = append(args, "--collector."+name)
	}
	for _, name := range c.Collectors.Disable {
		args = append(args, "--no-collector."+name)
	}
	return append(args, c.Collectors.Arguments...)
}

// sets says whether the user has set the flag, or the include that excludes
// the exclude.
func (c *Collectors) sets(flag string) bool {
	other := strings.Replace(flag, "-exclude", "-include", 1)
	return slices.ContainsFunc(c.Arguments, func(argument string) bool {
		name, _, _ := strings.Cut(argument, "=")
		return name == flag || name == other
	})
}

// collectorNames are the names of the library's collectors, and whether it
// runs them by default.
func collectorNames() map[string]bool {
	names := map[string]bool{}
	for _, flag := range kingpin.CommandLine.Model().Flags {
		name, ok := strings.CutPrefix(flag.Name, "collector.")
		if ok && !strings.Contains(name, ".") && len(flag.Default) == 1 {
			names[name] = flag.Default[0] == "true"
		}
	}
	return names
}

func isFlag(name string) bool {
	return kingpin.CommandLine.GetFlag(name) != nil
}

// enabled are the names of the collectors to run, sorted.
func (c *Collectors) enabled() []string {
	var names []string
	for name, byDefault := range collectorNames() {
		if (byDefault || slices.Contains(c.Enable, name)) && !slices.Contains(c.Disable, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// makeCollector makes one of the library's collectors, which it keeps: the
// next of that name is the same. What it panics at (a bad pattern) is an error.
func makeCollector(name string, logger *slog.Logger) (made collector.Collector, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("make collector %s: %v", name, p)
		}
	}()
	library.Lock()
	defer library.Unlock()
	one, err := collector.NewNodeCollector(logger, name)
	if err != nil {
		return nil, fmt.Errorf("make collector %s: %w", name, err)
	}
	return one.Collectors[name], nil
}

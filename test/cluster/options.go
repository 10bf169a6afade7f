package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

// Options say what cluster to run. Start from DefaultOptions or FromEnvironment.
type Options struct {
	// Number, 0 to 9, tells apart the clusters that a machine carries at once;
	// it is part of every name and address of one.
	Number int
	Nodes  int    // 1 to 9; the first has the control plane, too
	Dir    string // gets kubeconfig, bin/kubectl and bin/helm; the project's .cluster
	// Backend is "native", "kind", or "" for kind where it and a Docker engine
	// work, else native.
	Backend string

	// When the kubelets rotate a container's log. A change is taken over by a
	// running cluster.
	LogMaxSize         string // a Kubernetes quantity
	LogMaxFiles        int    // 2 or more
	LogMonitorInterval time.Duration

	// KubeletConfig is YAML of the kubelet's configuration file that is added to
	// ours, of keys that files/kubelet.yaml does not have.
	KubeletConfig string
}

// DefaultOptions are a one-node cluster with Kubernetes' own log rotation.
func DefaultOptions() Options {
	return Options{Nodes: 1, Dir: ".cluster", LogMaxSize: "10Mi", LogMaxFiles: 5, LogMonitorInterval: 10 * time.Second}
}

// FromEnvironment are the defaults, changed by CLUSTER_NUMBER, CLUSTER_NODES,
// CLUSTER_BACKEND, CLUSTER_LOG_MAX_SIZE, CLUSTER_LOG_MAX_FILES,
// CLUSTER_LOG_MONITOR_INTERVAL and CLUSTER_KUBELET_CONFIG. Clusters of other
// numbers than 0 have a folder below .cluster.
func FromEnvironment() (Options, error) {
	o := DefaultOptions()
	o.Backend = os.Getenv("CLUSTER_BACKEND")
	o.KubeletConfig = os.Getenv("CLUSTER_KUBELET_CONFIG")
	if size := os.Getenv("CLUSTER_LOG_MAX_SIZE"); size != "" {
		o.LogMaxSize = size
	}
	err := errors.Join(
		fromEnvironment("CLUSTER_NUMBER", &o.Number, strconv.Atoi),
		fromEnvironment("CLUSTER_NODES", &o.Nodes, strconv.Atoi),
		fromEnvironment("CLUSTER_LOG_MAX_FILES", &o.LogMaxFiles, strconv.Atoi),
		fromEnvironment("CLUSTER_LOG_MONITOR_INTERVAL", &o.LogMonitorInterval, time.ParseDuration),
	)
	if o.Number != 0 {
		o.Dir = filepath.Join(o.Dir, strconv.Itoa(o.Number))
	}
	return o, errors.Join(err, o.Validate())
}

func fromEnvironment[T any](name string, value *T, parse func(string) (T, error)) error {
	text := os.Getenv(name)
	if text == "" {
		return nil
	}
	v, err := parse(text)
	if err != nil {
		return fmt.Errorf("parse %s: %w", name, err)
	}
	*value = v
	return nil
}

// Validate names each value that cannot be, and its bounds.
func (o Options) Validate() error {
	var errs []error
	if o.Number < 0 || o.Number > 9 {
		errs = append(errs, fmt.Errorf("cluster number %d: want 0 to 9", o.Number))
	}
	if o.Nodes < 1 || o.Nodes > 9 {
		errs = append(errs, fmt.Errorf("%d nodes: want 1 to 9", o.Nodes))
	}
	if o.LogMaxFiles < 2 {
		errs = append(errs, fmt.Errorf("%d log files a container: kubelet wants 2 or more", o.LogMaxFiles))
	}
	if o.LogMonitorInterval < 3*time.Second {
		errs = append(errs, fmt.Errorf("look at log sizes every %s: kubelet wants 3s or more", o.LogMonitorInterval))
	}
	switch o.Backend {
	case "", "native", "kind":
	default:
		errs = append(errs, fmt.Errorf("backend %q: want native, kind or none", o.Backend))
	}
	return errors.Join(errs...)
}

// name is the cluster's, its bridge's, and begins its cgroups' and veths'.
func (o Options) name() string { return fmt.Sprintf("crowsnest%d", o.Number) }

// stateDir is the folder of all that the running cluster keeps on disk.
func (o Options) stateDir() (string, error) {
	cache, err := toolchain.Cache()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, fmt.Sprintf("cluster%d", o.Number)), nil
}

// NodeNumbers and KubeletConfigLines are for files/kind.yaml.
func (o Options) NodeNumbers() []struct{} { return make([]struct{}, o.Nodes) }

func (o Options) KubeletConfigLines() []string {
	return strings.Split(strings.TrimSpace(o.KubeletConfig), "\n")
}

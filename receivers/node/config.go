package node

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config is the user's part of the receiver.
type Config struct {
	// Node is the node's name; it becomes the label "instance".
	Node string `mapstructure:"node"`

	// CollectionInterval is the time between two collections.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`

	// Timeout is how long one collection waits for its slowest collector. 0,
	// the default, is 10 s, or the interval if that is less.
	Timeout time.Duration `mapstructure:"timeout"`

	// RootPath is where the host's root file system is seen from here: "/" for
	// a program of the host, "/host/root" in a container with that mount.
	RootPath string `mapstructure:"root_path"`

	// ProcPath and SysPath are where the host's proc and sysfs are seen.
	// Empty: at proc and sys below RootPath.
	ProcPath string `mapstructure:"proc_path"`
	SysPath  string `mapstructure:"sys_path"`

	// Directory is a folder that the receiver may write to: some symbolic links
	// through which it sees the host's network from a network namespace of its
	// own. Empty: one in the system's folder for temporary files.
	Directory string `mapstructure:"directory"`

	// Collectors chooses among node_exporter's collectors.
	Collectors Collectors `mapstructure:"collectors"`

	// MaxSeries bounds the series of one collection.
	MaxSeries int `mapstructure:"max_series"`
}

// Collectors chooses and configures node_exporter's collectors, by its names.
type Collectors struct {
	// Enable names collectors to run beside those that node_exporter runs by
	// itself, Disable those not to run.
	Enable  []string `mapstructure:"enable"`
	Disable []string `mapstructure:"disable"`

	// Arguments are node_exporter's command-line arguments that begin with
	// --collector. or --no-collector., such as
	// "--collector.textfile.directory=/host/root/var/lib/node_exporter".
	Arguments []string `mapstructure:"arguments"`
}

func defaultConfig() *Config {
	return &Config{CollectionInterval: 15 * time.Second, RootPath: "/", MaxSeries: 50_000}
}

// proc is the path of the host's proc.
func (c *Config) proc() string {
	if c.ProcPath != "" {
		return filepath.Clean(c.ProcPath)
	}
	return filepath.Join(c.RootPath, "proc")
}

// sys is the path of the host's sysfs.
func (c *Config) sys() string {
	if c.SysPath != "" {
		return filepath.Clean(c.SysPath)
	}
	return filepath.Join(c.RootPath, "sys")
}

// timeout bounds one collection, which must end before the next begins.
func (c *Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return min(10*time.Second, c.CollectionInterval)
	}
	return c.Timeout
}

// Validate names each key that cannot be worked with, its value and the bound.
func (c *Config) Validate() error {
	var errs []error
	if c.Node == "" {
		errs = append(errs, errors.New("node: empty; it is the label instance of every series, give the node's name"))
	}
	if c.CollectionInterval < time.Second {
		errs = append(errs, fmt.Errorf("collection_interval: %v is under the least of 1s", c.CollectionInterval))
	}
	if c.Timeout < 0 || c.Timeout > c.CollectionInterval {
		errs = append(errs, fmt.Errorf("timeout: %v is not between 0 and collection_interval (%v); a collection must end before the next begins", c.Timeout, c.CollectionInterval))
	}
	if c.MaxSeries < 1 || c.MaxSeries > 1_000_000 {
		errs = append(errs, fmt.Errorf("max_series: %d is not between 1 and 1000000", c.MaxSeries))
	}
	if !filepath.IsAbs(c.RootPath) {
		errs = append(errs, fmt.Errorf("root_path: %q is not an absolute path", c.RootPath))
	}
	for key, path := range map[string]string{"proc_path": c.ProcPath, "sys_path": c.SysPath, "directory": c.Directory} {
		if path != "" && !filepath.IsAbs(path) {
			errs = append(errs, fmt.Errorf("%s: %q is not an absolute path", key, path))
		}
	}
	return errors.Join(append(errs, c.Collectors.validate()...)...)
}

func (c *Collectors) validate() (errs []error) {
	known := collectorNames()
	for key, names := range map[string][]string{"enable": c.Enable, "disable": c.Disable} {
		for _, name := range names {
			if _, ok := known[name]; !ok {
				errs = append(errs, fmt.Errorf("collectors::%s: node_exporter has no collector %q", key, name))
			}
		}
	}
	for _, name := range c.Enable {
		if slices.Contains(c.Disable, name) {
			errs = append(errs, fmt.Errorf("collectors: %q is both in enable and in disable", name))
		}
	}
	for _, argument := range c.Arguments {
		if err := validateArgument(argument, known); err != nil {
			errs = append(errs, fmt.Errorf("collectors::arguments: %w", err))
		}
	}
	return errs
}

// validateArgument takes what configures a collector. Others of node_exporter's
// flags are not there, and some of its flag parser's (--help) end the program.
func validateArgument(argument string, collectors map[string]bool) error {
	name, text, _ := strings.Cut(argument, "=")
	flag, ok := strings.CutPrefix(strings.Replace(name, "--no-", "--", 1), "--")
	if !ok || !strings.HasPrefix(flag, "collector.") {
		return fmt.Errorf(`%q does not begin with "--collector." or "--no-collector."`, argument)
	}
	if _, ok := collectors[strings.TrimPrefix(flag, "collector.")]; ok {
		return fmt.Errorf("%q turns a collector on or off; that is for enable and disable", argument)
	}
	if !isFlag(flag) {
		return fmt.Errorf("node_exporter has no flag for %q", argument)
	}
	if strings.Contains(flag, "clude") || strings.HasSuffix(flag, ".fields") || strings.Contains(flag, "ignored") {
		if _, err := regexp.Compile(text); err != nil {
			return fmt.Errorf("%q: %w", argument, err)
		}
	}
	return nil
}

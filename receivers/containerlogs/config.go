package containerlogs

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"time"

	"go.opentelemetry.io/collector/component"
)

// Config is the user's part of the receiver.
type Config struct {
	// Root is the directory of <namespace>_<pod>_<uid>/<container>/<n>.log.
	Root string `mapstructure:"root"`
	// Directory keeps the offsets file. Empty: offsets are kept in memory
	// only, and every start reads from StartAt.
	Directory string `mapstructure:"directory"`
	// StartAt is where files are begun that exist when the receiver starts
	// for the first time: "beginning" or "end".
	StartAt string `mapstructure:"start_at"`
	// Exclude are patterns (path.Match) of namespace/pod/container whose logs
	// are not read, such as "crowsnest/*/*".
	Exclude []string `mapstructure:"exclude"`
	// MaxLineBytes is the longest body sent; longer lines are cut and marked.
	MaxLineBytes int `mapstructure:"max_line_bytes"`
	// MaxInFlightBytes bounds the log text that was read and not acknowledged.
	MaxInFlightBytes int64 `mapstructure:"max_in_flight_bytes"`
	// ScanInterval is how often every directory and file is looked at, for
	// what inotify did not tell.
	ScanInterval time.Duration `mapstructure:"scan_interval"`
	// Pods is the extension that knows the node's pods. Without it files are
	// read as soon as they are seen.
	Pods *component.ID `mapstructure:"pods"`
	// PodWait is how long a new file waits for Pods to know its pod and
	// this start of its container.
	PodWait time.Duration `mapstructure:"pod_wait"`
}

const (
	startAtBeginning = "beginning"
	startAtEnd       = "end"

	minLineBytes     = 1 << 10
	maxLineBytes     = 1 << 20
	minInFlightBytes = batchBytes
	maxInFlightBytes = 1 << 30
	minScanInterval  = 10 * time.Millisecond
	maxScanInterval  = time.Minute
	maxPodWait       = 5 * time.Minute
)

func createDefaultConfig() component.Config {
	return &Config{
		Root:             "/var/log/pods",
		Directory:        "/var/lib/crowsnest/containerlogs",
		StartAt:          startAtBeginning,
		MaxLineBytes:     256 << 10, // Loki refuses longer lines by default
		MaxInFlightBytes: 4 << 20,
		ScanInterval:     5 * time.Second,
		PodWait:          5 * time.Second,
	}
}

// Validate reports every setting that is out of its bounds.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !filepath.IsAbs(c.Root) {
		bad("root: %q is not an absolute path", c.Root)
	}
	if c.Directory != "" && !filepath.IsAbs(c.Directory) {
		bad("directory: %q is neither empty nor an absolute path", c.Directory)
	}
	if c.StartAt != startAtBeginning && c.StartAt != startAtEnd {
		bad("start_at: %q is neither %q nor %q", c.StartAt, startAtBeginning, startAtEnd)
	}
	for _, p := range c.Exclude {
		if _, err := path.Match(p, ""); err != nil {
			bad("exclude: %q is not a pattern of namespace/pod/container: %w", p, err)
		}
	}
	if c.MaxLineBytes < minLineBytes || c.MaxLineBytes > maxLineBytes {
		bad("max_line_bytes: %d is not within %d and %d", c.MaxLineBytes, minLineBytes, maxLineBytes)
	}
	if c.MaxInFlightBytes < minInFlightBytes || c.MaxInFlightBytes > maxInFlightBytes {
		bad("max_in_flight_bytes: %d is not within %d and %d", c.MaxInFlightBytes, minInFlightBytes, maxInFlightBytes)
	}
	if c.ScanInterval < minScanInterval || c.ScanInterval > maxScanInterval {
		bad("scan_interval: %s is not within %s and %s", c.ScanInterval, minScanInterval, maxScanInterval)
	}
	if c.PodWait < 0 || c.PodWait > maxPodWait {
		bad("pod_wait: %s is not within 0s and %s", c.PodWait, maxPodWait)
	}
	return errors.Join(errs...)
}

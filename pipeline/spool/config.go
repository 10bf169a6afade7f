package spool

import (
	"fmt"
	"path/filepath"

	"go.opentelemetry.io/collector/component"
)

const (
	minBytes        = 1 << 20
	diskBytes       = 256 << 20
	memoryBytes     = 32 << 20
	maxSegmentBytes = 8 << 20
	// maxSendBytes is how much is handed on at once where entries are smaller.
	// As metrics it takes four times as much, and as a request again.
	maxSendBytes = 512 << 10
)

// Config is the user's part.
type Config struct {
	// Directory in which each spool makes one of its own. Empty: in memory.
	Directory string `mapstructure:"directory"`

	// MaxBytes bounds the spool. 0 stands for 256 MiB in a directory and 32 MiB
	// in memory.
	MaxBytes int64 `mapstructure:"max_bytes"`
}

func defaultConfig() component.Config { return &Config{} }

// Validate names the key, the value and the bound.
func (c *Config) Validate() error {
	if c.MaxBytes != 0 && c.MaxBytes < minBytes {
		return fmt.Errorf("max_bytes is %d: must be at least %d, or 0 for the default", c.MaxBytes, minBytes)
	}
	if c.Directory != "" && !filepath.IsAbs(c.Directory) {
		return fmt.Errorf("directory is %q: must be an absolute path, or empty to spool in memory", c.Directory)
	}
	return nil
}

func (c *Config) maxBytes() int64 {
	switch {
	case c.MaxBytes != 0:
		return c.MaxBytes
	case c.Directory != "":
		return diskBytes
	default:
		return memoryBytes
	}
}

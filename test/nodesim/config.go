package nodesim

import (
	"errors"
	"fmt"
	"time"
)

// Config of a node. Dir is required.
type Config struct {
	Dir      string // gets pods/ (the log files), ca.crt and token
	NodeName string // "lab-1" if empty

	Pods           int     // how many; 12 if 0, at least 5, at most 250
	LinesPerSecond float64 // of all containers together; 0 = none
	// LongLineEvery: each so-many-th line of a stream is longer than the
	// runtime's 16 KiB pieces; 200 if 0.
	LongLineEvery uint64

	LogMaxBytes   int64         // size at which a file is rotated; 10 MiB if 0, as the kubelet's default
	LogMaxFiles   int           // files kept per container, the current one included; 5 if 0
	LogCheckEvery time.Duration // how often the kubelet looks at sizes; 10 s if 0, at least 1 s
	CrashEvery    time.Duration // how often the crashing container restarts; 0 = never

	// Traces go to the endpoints that are set (host:port), most by OTLP.
	TracesPerSecond  float64
	OTLPEndpoint     string // gRPC
	JaegerGRPC       string
	JaegerThriftHTTP string
	Zipkin           string

	Seed uint64 // of all that is random
}

const (
	minPods = 5 // the three services that call each other, twice frontend, and payment twice
	maxPods = 250
)

func (c Config) withDefaults() Config {
	if c.NodeName == "" {
		c.NodeName = "lab-1"
	}
	if c.Pods == 0 {
		c.Pods = 12
	}
	if c.LongLineEvery == 0 {
		c.LongLineEvery = 200
	}
	if c.LogMaxBytes == 0 {
		c.LogMaxBytes = 10 << 20
	}
	if c.LogMaxFiles == 0 {
		c.LogMaxFiles = 5
	}
	if c.LogCheckEvery == 0 {
		c.LogCheckEvery = 10 * time.Second
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("no Dir"))
	}
	if c.Pods < minPods || c.Pods > maxPods {
		errs = append(errs, fmt.Errorf("Pods is %d; must be from %d to %d", c.Pods, minPods, maxPods))
	}
	if c.LogMaxFiles < 2 {
		errs = append(errs, fmt.Errorf("LogMaxFiles is %d; the kubelet wants at least 2", c.LogMaxFiles))
	}
	if c.LogCheckEvery < time.Second {
		// Rotated files are named by the second; two in one second would be one file.
		errs = append(errs, fmt.Errorf("LogCheckEvery is %v; must be at least 1s", c.LogCheckEvery))
	}
	if c.TracesPerSecond > 0 && c.OTLPEndpoint == "" {
		errs = append(errs, errors.New("TracesPerSecond without OTLPEndpoint"))
	}
	return errors.Join(errs...)
}

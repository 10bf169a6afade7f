package rendezvous

import "go.opentelemetry.io/collector/component"

// Config is what users write; every value is a good one.
type Config struct {
	// Node is whose connections these are; empty: the machine's name.
	Node string `mapstructure:"node"`
	// File remembers the server that took the last metrics, which then comes
	// first; empty: the order is that of the hash alone.
	File string `mapstructure:"file"`
}

func defaultConfig() component.Config { return &Config{} }

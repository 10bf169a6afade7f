package stores

import (
	"bytes"
	"context"
	"io"

	"github.com/crowsnest-o11y/crowsnest/test/toolchain"
)

// program is a store: how it is built, and run.
type program struct {
	toolchain.Program
	env []string // of the running program
}

var (
	prometheusProgram = program{Program: toolchain.Program{
		Name: "prometheus", Module: "test/stores/prometheus",
		Package: "github.com/prometheus/prometheus/cmd/prometheus", Minutes: 5,
		// Tests scrape static targets, the chart's quickstart finds its own by DNS;
		// all the other service discoveries would triple the build.
		Flags: []string{"-tags", "remove_all_sd,enable_dns_sd", "-ldflags", "-s -w"},
	}}
	lokiProgram = program{Program: toolchain.Program{
		Name: "loki", Module: "test/stores/loki",
		Package: "github.com/grafana/loki/v3/cmd/loki", Minutes: 8,
		Flags: []string{"-ldflags", "-s -w"},
	}}
	jaegerProgram = program{Program: toolchain.Program{
		Name: "jaeger", Module: "test/stores/jaeger",
		Package: "github.com/jaegertracing/jaeger/cmd/all-in-one", Minutes: 3,
		Flags: []string{"-ldflags", "-s -w"},
	}, env: []string{"OTEL_TRACES_SAMPLER=always_off"}}
)

// BuildAll builds what is not built yet, one after the other.
func BuildAll(ctx context.Context, progress io.Writer) error {
	for _, p := range []program{prometheusProgram, lokiProgram, jaegerProgram} {
		if _, err := p.Build(ctx, progress); err != nil {
			return err
		}
	}
	return nil
}

// lastLines keeps the end of b, in whole lines.
func lastLines(b []byte, limit int) []byte {
	if len(b) <= limit {
		return b
	}
	b = b[len(b)-limit:]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[i+1:]
	}
	return b
}

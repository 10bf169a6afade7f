package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/otelcol"
)

// Exit codes: who supervises a program can tell a configuration that will
// never work from a start that may work the next time.
const (
	ExitOK = 0
	// ExitFailed: the program could not start or had to stop: a port in use,
	// a directory that cannot be written.
	ExitFailed = 1
	// ExitBadConfig: the command line or the configuration is wrong; starting
	// again with the same one is useless. (2 is also the flag package's code.)
	ExitBadConfig = 2
)

// errRun marks what went wrong after the configuration was found good; any
// other error is the command line's or the configuration's.
var errRun = errors.New("cannot run")

// Run runs the program with its command-line arguments (without the program's
// name) until ctx ends or a signal stops it, and returns its exit code. Errors
// are written to stderr.
func (p Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if p.GCPercent != 0 && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(p.GCPercent)
	}
	if p.DropStartPages {
		defer dropStartPages()()
	}
	cmd := p.command()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	var failed failedError
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errRun), errors.As(err, &failed):
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return ExitFailed
	default:
		fmt.Fprintf(stderr, "%s: bad configuration: %v\n", p.Name, err)
		return ExitBadConfig
	}
}

// command is the collector's command line with one difference: a wrong
// configuration is found before anything starts, and told from a failed start.
func (p Program) command() *cobra.Command {
	cmd := otelcol.NewCommand(p.settings())
	cmd.Short = p.Description
	cmd.Long = p.Description + "\n\nWithout --config it runs: " + strings.Join(p.Defaults, " ")
	cmd.SilenceErrors = true
	validate, _, err := cmd.Find([]string{"validate"})
	if err != nil {
		panic("BUG: the collector has no validate command: " + err.Error())
	}
	run := cmd.RunE
	cmd.RunE = func(c *cobra.Command, args []string) error {
		// The two commands share one flag set, so validate sees the --config
		// and --set that were given to this one.
		if err := validate.RunE(c, args); err != nil {
			return err
		}
		if err := run(c, args); err != nil {
			return fmt.Errorf("%w: %w", errRun, err)
		}
		return nil
	}
	for _, c := range p.Commands {
		run := c.RunE
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := run(c, args); err != nil {
				return failedError{err}
			}
			return nil
		}
		cmd.AddCommand(c)
	}
	return cmd
}

// failedError is a sub-command's own; others are of its command line.
type failedError struct{ error }

func (e failedError) Unwrap() error { return e.error }

func (p Program) settings() otelcol.CollectorSettings {
	return otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: p.Name, Description: p.Description, Version: Version},
		Factories: p.factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{
			ResolverSettings: confmap.ResolverSettings{
				URIs: p.Defaults,
				ProviderFactories: []confmap.ProviderFactory{
					newFragmentProvider(p.Fragments),
					fileprovider.NewFactory(),
					envprovider.NewFactory(),
					yamlprovider.NewFactory(),
				},
				ConverterFactories: []confmap.ConverterFactory{newStrictKeys(p.factories)},
				DefaultScheme:      "env",
			},
		},
	}
}

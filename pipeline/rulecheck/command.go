package rulecheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// ErrEmpty is the error of the command when a query cannot return data.
var ErrEmpty = errors.New("queries that cannot return data")

type options struct {
	prometheus, loki string
	headers          []string
	lookback         time.Duration
	all              bool
}

// NewCommand makes the command "check-rules", which checks the named files or
// else those of own.
func NewCommand(own ...fs.FS) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "check-rules --prometheus URL [FILES...]",
		Short: "Tell for every rule and panel whether it can ever return data",
		Long: `Reads Prometheus rule files, PrometheusRule objects (YAML) and Grafana dashboards
(JSON), those of this program if no files are named, and asks Prometheus for each
query whether what it reads exists, its label matchers match and its joins have
partners. Conditions such as "> 5" are left aside: an alert that could fire is fine.
The exit code is 1 if a query cannot return data.`,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, files []string) error {
			return run(cmd.Context(), cmd.OutOrStdout(), o, files, own)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.prometheus, "prometheus", "", "base URL of Prometheus (required)")
	flags.StringVar(&o.loki, "loki", "", "base URL of Loki, for LogQL; without it LogQL is not tried")
	flags.StringArrayVar(&o.headers, "header", nil, `header for both, such as "Authorization: Bearer …"; can be repeated`)
	flags.DurationVar(&o.lookback, "lookback", time.Hour, "how far back a series counts as existing")
	flags.BoolVar(&o.all, "all", false, "list also what returns data")
	if err := cmd.MarkFlagRequired("prometheus"); err != nil {
		panic("BUG: " + err.Error())
	}
	return cmd
}

func run(ctx context.Context, out io.Writer, o options, files []string, own []fs.FS) error {
	queries, err := readAll(files, own)
	if err != nil {
		return err
	}
	transport, err := newTransport(o.headers)
	if err != nil {
		return err
	}
	stores, err := NewStores(o.prometheus, o.loki, transport, o.lookback)
	if err != nil {
		return err
	}
	results, err := Check(ctx, stores, queries)
	if err != nil {
		return err
	}
	return write(out, results, o.all)
}

func readAll(files []string, own []fs.FS) ([]Query, error) {
	var queries []Query
	read := func(name string, open func(string) (fs.File, error)) error {
		f, err := open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		more, err := Read(name, f)
		queries = append(queries, more...)
		return err
	}
	for _, name := range files {
		if err := read(name, func(name string) (fs.File, error) { return os.Open(name) }); err != nil {
			return nil, err
		}
	}
	if len(files) > 0 {
		return queries, nil
	}
	for _, fsys := range own {
		names, err := fs.Glob(fsys, "*.*")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if err := read(name, fsys.Open); err != nil {
				return nil, err
			}
		}
	}
	return queries, nil
}

// headers are added to every request.
type headers struct {
	http.RoundTripper
	values http.Header
}

func newTransport(lines []string) (http.RoundTripper, error) {
	h := headers{http.DefaultTransport, http.Header{}}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, errors.New("--header: one has no colon; want NAME: VALUE") // it may be a secret
		}
		h.values.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}

func (h headers) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	for name, values := range h.values {
		req.Header[name] = values
	}
	return h.RoundTripper.RoundTrip(req)
}

// write lists what cannot return data, and all if asked to.
func write(out io.Writer, results []Result, all bool) error {
	tally := map[Verdict]int{}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range results {
		tally[r.Verdict]++
		if r.Verdict != Data || all {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.Verdict, r.File, r.Name, r.Reason)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	fmt.Fprintf(out, "%d queries: %d with data, %d pending, %d empty, %d bad, %d untried\n",
		len(results), tally[Data], tally[Pending], tally[Empty], tally[Bad], tally[Untried])
	if n := tally[Empty] + tally[Bad]; n > 0 {
		return fmt.Errorf("%d %w", n, ErrEmpty)
	}
	return nil
}

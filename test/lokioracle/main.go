// Lokioracle pushes log entries to Loki through grafana/loki-client-go, so that
// a test can compare with what the exporter "loki" stores. It is a module and a
// program of its own because that client does not compile beside a current
// Prometheus module.
//
//	lokioracle -url http://127.0.0.1:3100/loki/api/v1/push < entries.jsonl
//
// It reads one JSON object a line from standard input, see entry, and ends when
// all are pushed; the client logs what it drops to standard output and does not
// report it otherwise, so a caller looks into Loki.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/grafana/loki-client-go/loki"
	"github.com/grafana/loki/pkg/push"
	"github.com/prometheus/common/model"
)

type entry struct {
	Labels    model.LabelSet
	Timestamp int64 // nanoseconds since 1970
	Line      string
	Metadata  map[string]string
}

func main() {
	url := flag.String("url", "", "Loki's push URL")
	flag.Parse()
	if err := run(*url, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "lokioracle:", err)
		os.Exit(1)
	}
}

func run(url string, in io.Reader) error {
	client, err := loki.NewWithDefault(url)
	if err != nil {
		return fmt.Errorf("make client for %q: %w", url, err)
	}
	defer client.Stop() // pushes what is left
	for dec := json.NewDecoder(in); ; {
		var e entry
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read entry: %w", err)
		}
		var pairs push.LabelsAdapter
		for _, name := range slices.Sorted(maps.Keys(e.Metadata)) {
			pairs = append(pairs, push.LabelAdapter{Name: name, Value: e.Metadata[name]})
		}
		if err := client.HandleWithMetadata(e.Labels, time.Unix(0, e.Timestamp), e.Line, pairs); err != nil {
			return fmt.Errorf("push entry at %d: %w", e.Timestamp, err)
		}
	}
}

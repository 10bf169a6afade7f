package stores

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Loki as a single binary on the filesystem, one tenant, with a write-ahead log
// (what it answered 2xx for survives SIGKILL), no retention, limits as default.
type Loki struct {
	*store
	URL string // http://127.0.0.1:PORT; push is /loki/api/v1/push
}

// StartLoki starts one; end it with Stop.
func StartLoki(ctx context.Context, o Options) (*Loki, error) {
	s, _, err := startStore(ctx, lokiProgram, o, 2, "/ready", func(dir string, ports []int) ([]string, error) {
		config := filepath.Join(dir, "loki.yaml")
		text := fmt.Sprintf(lokiConfig, ports[0], ports[1], filepath.Join(dir, "data"))
		if o.Unlimited {
			text += lokiUnlimited
		}
		return []string{"-config.file=" + config}, os.WriteFile(config, []byte(text), 0o644)
	})
	if err != nil {
		return nil, err
	}
	return &Loki{store: s, URL: s.base}, nil
}

// TestLoki starts one for the time of a test.
func TestLoki(t testing.TB, o Options) *Loki {
	t.Helper()
	l, err := StartLoki(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stopAfter(t, l.store)
	return l
}

const lokiConfig = `auth_enabled: false
server:
  http_listen_address: 127.0.0.1
  http_listen_port: %[1]d
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: %[2]d
  log_level: warn
common:
  path_prefix: %[3]q
  instance_addr: 127.0.0.1
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
  storage:
    filesystem:
      chunks_directory: %[3]s/chunks
      rules_directory: %[3]s/rules
schema_config:
  configs:
    - from: "2024-01-01"
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
ingester:
  lifecycler:
    min_ready_duration: 0s
    final_sleep: 0s
  wal:
    enabled: true
    dir: %[3]s/wal
# Querier to frontend directly: finding each other through the scheduler's ring
# takes ten seconds after every start.
frontend_worker:
  frontend_address: 127.0.0.1:%[2]d
analytics:
  reporting_enabled: false
`

// lokiUnlimited raises the limits by rate, 4 MB/s for all and 3 MB/s for a stream.
const lokiUnlimited = `limits_config:
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
  per_stream_rate_limit: 1000MB
  per_stream_rate_limit_burst: 1000MB
`

// Entry is one stored line.
type Entry struct {
	Labels    map[string]string // of its stream, service_name and detected_level as Loki adds them
	Timestamp time.Time
	Line      string
	Metadata  map[string]string // structured metadata
}

// pageEntries is how many entries Each asks for at once. Loki allows 5,000, but
// also no more than 4 MiB in an answer between its parts, and it tries for
// twenty seconds before it says so.
const pageEntries = 1000

// Query runs a LogQL log query over [start, end) and returns at most limit
// entries (5,000 is Loki's bound), oldest first.
func (l *Loki) Query(ctx context.Context, logql string, start, end time.Time, limit int) ([]Entry, error) {
	var answer struct {
		Data struct {
			ResultType string `json:"resultType"`
			Result     []struct {
				Stream map[string]string `json:"stream"`
				Values []lokiValue       `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	q := url.Values{
		"query": {logql}, "limit": {strconv.Itoa(limit)}, "direction": {"forward"},
		"start": {strconv.FormatInt(start.UnixNano(), 10)}, "end": {strconv.FormatInt(end.UnixNano(), 10)},
	}
	// Without this flag Loki mixes structured metadata into the stream's labels.
	header := http.Header{"X-Loki-Response-Encoding-Flags": {"categorize-labels"}}
	if err := l.get(ctx, "/loki/api/v1/query_range", q, header, &answer); err != nil {
		return nil, err
	}
	if answer.Data.ResultType != "streams" {
		return nil, fmt.Errorf("query %q gives a %s; want log lines", logql, answer.Data.ResultType)
	}
	var entries []Entry
	for _, s := range answer.Data.Result {
		for _, v := range s.Values {
			entries = append(entries, Entry{Labels: s.Stream, Timestamp: v.time, Line: v.line, Metadata: v.metadata})
		}
	}
	sortEntries(entries)
	return entries, nil
}

// Each calls f with every entry of [start, end) in the order of time, however
// many there are.
func (l *Loki) Each(ctx context.Context, logql string, start, end time.Time, f func(Entry) error) error {
	// The last page may have cut through entries of one timestamp, so the next
	// one starts with that timestamp again and leaves out what was seen.
	seen := map[string]int{}
	limit := pageEntries
	for {
		page, err := l.Query(ctx, logql, start, end, limit)
		var status *StatusError
		if limit > 1 && errors.As(err, &status) && strings.Contains(status.Body, "message larger than max") {
			limit /= 2 // very long lines
			continue
		}
		if err != nil {
			return err
		}
		skip := seen
		seen = map[string]int{}
		for _, e := range page {
			key := e.key()
			if e.Timestamp.Equal(page[len(page)-1].Timestamp) {
				seen[key]++
			}
			if e.Timestamp.Equal(start) && skip[key] > 0 {
				skip[key]--
				continue
			}
			if err := f(e); err != nil {
				return err
			}
		}
		if len(page) < limit {
			return nil
		}
		next := page[len(page)-1].Timestamp
		if next.Equal(start) {
			return fmt.Errorf("read entries of %s: %d or more have the timestamp %s; Loki cannot page through them",
				logql, limit, start)
		}
		start = next
	}
}

// lokiValue is ["nanoseconds", "line", {"structuredMetadata": {}, "parsed": {}}].
type lokiValue struct {
	time     time.Time
	line     string
	metadata map[string]string
}

func (v *lokiValue) UnmarshalJSON(b []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	if len(parts) < 2 {
		return errors.New("entry without timestamp and line")
	}
	var ns string
	if err := json.Unmarshal(parts[0], &ns); err != nil {
		return err
	}
	n, err := strconv.ParseInt(ns, 10, 64)
	if err != nil {
		return err
	}
	v.time = time.Unix(0, n)
	if err := json.Unmarshal(parts[1], &v.line); err != nil {
		return err
	}
	if len(parts) < 3 {
		return nil
	}
	var categories struct {
		StructuredMetadata map[string]string `json:"structuredMetadata"`
	}
	err = json.Unmarshal(parts[2], &categories)
	v.metadata = categories.StructuredMetadata
	return err
}

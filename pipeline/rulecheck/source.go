package rulecheck

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// askTimeout bounds one question.
const askTimeout = time.Minute

// Stores are where the queries are tried.
type Stores struct {
	prometheus promapi.API
	loki       string // base URL; "" = LogQL is not tried
	client     *http.Client
	// lookback is how far back a series may have ended and still count as one
	// that exists.
	lookback time.Duration
	counts   map[string]int // answers of Prometheus, by query
}

// NewStores takes base URLs; Loki's may be empty. The transport carries what
// the stores want for authentication.
func NewStores(prometheus, loki string, transport http.RoundTripper, lookback time.Duration) (*Stores, error) {
	c, err := api.NewClient(api.Config{Address: prometheus, RoundTripper: transport})
	if err != nil {
		return nil, fmt.Errorf("use Prometheus at %q: %w", prometheus, err)
	}
	return &Stores{
		prometheus: promapi.NewAPI(c), loki: strings.TrimSuffix(loki, "/"),
		client: &http.Client{Transport: transport}, lookback: lookback, counts: map[string]int{},
	}, nil
}

// count is how many series an instant query gives now.
func (s *Stores) count(ctx context.Context, expr string) (int, error) {
	if n, known := s.counts[expr]; known {
		return n, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, _, err := s.prometheus.Query(ctx, "count("+expr+")", time.Now())
	if err != nil {
		return 0, fmt.Errorf("ask Prometheus for count(%s): %w", expr, err)
	}
	n := 0
	if v, ok := answer.(model.Vector); ok && len(v) > 0 {
		n = int(v[0].Value)
	}
	s.counts[expr] = n
	return n, nil
}

// moments is how many times within the lookback a query is tried that gives
// nothing now.
const moments = 240

// ever is how many series a query gives now, or gave within the lookback: those
// that it reads may have ended.
func (s *Stores) ever(ctx context.Context, expr string) (int, error) {
	n, err := s.count(ctx, expr)
	if n > 0 || err != nil {
		return n, err
	}
	step := max(s.lookback/moments, time.Second).Truncate(time.Second)
	return s.count(ctx, fmt.Sprintf("max_over_time(count(%s)[%s:%s])", expr, model.Duration(s.lookback), model.Duration(step)))
}

// exists is how many series a selector found within the lookback.
func (s *Stores) exists(ctx context.Context, selector string) (int, error) {
	return s.count(ctx, "last_over_time("+selector+"["+model.Duration(s.lookback).String()+"])")
}

// logs tells whether a LogQL query gives anything over the lookback.
func (s *Stores) logs(ctx context.Context, expr string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	now := time.Now()
	query := url.Values{"query": {expr}, "limit": {"1"},
		"start": {strconv.FormatInt(now.Add(-s.lookback).UnixNano(), 10)}, "end": {strconv.FormatInt(now.UnixNano(), 10)}, "step": {"60"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.loki+"/loki/api/v1/query_range?"+query.Encode(), nil)
	if err != nil {
		return false, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return false, fmt.Errorf("ask Loki: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFileBytes))
	if err != nil {
		return false, fmt.Errorf("read Loki's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("ask Loki: HTTP %d: %s", resp.StatusCode, strings.TrimSpace(string(body)))
	}
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return false, fmt.Errorf("decode Loki's answer: %w", err)
	}
	return len(answer.Data.Result) > 0, nil
}

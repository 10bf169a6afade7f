package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/klauspost/compress/s2"
	"go.opentelemetry.io/collector/config/configretry"
	"go.uber.org/zap"
)

const (
	// maxRequestSeries and maxRequestBytes (uncompressed, estimated) bound a
	// request; one data point is never split over two.
	maxRequestSeries = 2000
	maxRequestBytes  = 2 << 20
)

// errGivenUp: max_elapsed_time passed; the caller still owns the data.
var errGivenUp = errors.New("retry_on_failure::max_elapsed_time is over")

// remoteWriter spreads points over its shards.
type remoteWriter struct {
	http   *http.Client
	shards []*shard
}

// shard sends the samples of its series one request after the other. The token
// in slot is held for all of a batch's requests and their repetitions: whoever
// comes later has later samples.
type shard struct {
	slot     chan struct{} // guards encoder, buffer and noV2
	client   client
	protocol string
	retry    configretry.BackOffConfig
	tel      *telemetry
	encoder  encoder
	buffer   []byte // of compression
	// noV2: the receiver turned out not to know v2, so that it is not asked by it.
	noV2 bool
}

func newRemoteWriter(cfg *RemoteWriteConfig, hc *http.Client, tel *telemetry) *remoteWriter {
	w := &remoteWriter{http: hc}
	for range cfg.Shards {
		w.shards = append(w.shards, &shard{
			slot: make(chan struct{}, 1), client: client{endpoint: cfg.HTTP.Endpoint, http: hc},
			protocol: cfg.Protocol, retry: cfg.Retry, tel: tel,
		})
	}
	return w
}

func (w *remoteWriter) closeIdle() { w.http.CloseIdleConnections() }

// write returns nil when every point was accepted, or refused for good and
// marked so. With an error, some may have been accepted: sending all again is
// harmless. Metadata goes along with the first request.
func (w *remoteWriter) write(ctx context.Context, points []point, metadata []*family) error {
	parts := w.split(points)
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		if len(part) == 0 {
			continue
		}
		due := metadata
		metadata = nil
		wg.Go(func() { errs[i] = w.shards[i].write(ctx, part, due) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (w *remoteWriter) split(points []point) [][]*point {
	parts := make([][]*point, len(w.shards))
	for i := range points {
		p := &points[i]
		if p.skip {
			continue
		}
		n := p.id.stable % uint64(len(parts))
		if parts[n] == nil {
			parts[n] = make([]*point, 0, len(points)/len(parts)*5/4+1)
		}
		parts[n] = append(parts[n], p)
	}
	return parts
}

func (s *shard) write(ctx context.Context, points []*point, metadata []*family) error {
	select {
	case s.slot <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.slot }()
	slices.SortStableFunc(points, func(a, b *point) int { return int(a.round) - int(b.round) })
	for len(points) > 0 {
		n := requestLen(points)
		if err := s.deliver(ctx, points[:n], metadata); err != nil {
			return err
		}
		points, metadata = points[n:], nil
	}
	return nil
}

// requestLen is how many of the points, at least one, make one request: within
// the bounds, and of one round, so that no series is in it twice.
func requestLen(points []*point) int {
	count, size := 0, 0
	for i, p := range points {
		n := p.seriesCount()
		count += n
		size += n * p.seriesBytes()
		if i > 0 && (count > maxRequestSeries || size > maxRequestBytes || p.round != points[0].round) {
			return i
		}
	}
	return len(points)
}

// deliver sends points until they are accepted or refused.
func (s *shard) deliver(ctx context.Context, points []*point, metadata []*family) error {
	a, err := s.persist(ctx, points, metadata)
	if err != nil {
		return err
	}
	if a.verdict == refused {
		return s.isolate(ctx, points, a)
	}
	s.tel.sent(countSeries(points))
	return nil
}

// persist repeats a request until it is answered with success or refusal. Errors
// are the context's, or errGivenUp.
func (s *shard) persist(ctx context.Context, points []*point, metadata []*family) (answer, error) {
	wait := backoff.ExponentialBackOff{
		InitialInterval:     s.retry.InitialInterval,
		RandomizationFactor: s.retry.RandomizationFactor,
		Multiplier:          s.retry.Multiplier,
		MaxInterval:         s.retry.MaxInterval,
	}
	wait.Reset()
	began := time.Now()
	message := s.encode(s.protocol, points, metadata)
	for repetition := 0; ; repetition++ {
		a := s.client.send(ctx, s.protocol, message, repetition)
		s.tel.request(a)
		if ctx.Err() != nil && a.verdict == unanswered {
			return a, context.Cause(ctx)
		}
		if a.verdict != unanswered {
			return a, nil
		}
		delay := max(wait.NextBackOff(), a.retryAfter)
		s.tel.unanswered(s.client.endpoint, a, delay)
		elapsed := time.Since(began) + delay
		if !s.retry.Enabled || s.retry.MaxElapsedTime > 0 && elapsed > s.retry.MaxElapsedTime {
			return a, fmt.Errorf("remote write to %s: %w: %w", s.client.endpoint, errGivenUp, a.err)
		}
		if err := sleep(ctx, delay); err != nil {
			return a, err
		}
		s.tel.retried()
	}
}

// encode returns a compressed request, valid until the next one.
func (s *shard) encode(protocol string, points []*point, metadata []*family) []byte {
	message := s.encoder.encode(protocol, points, metadata)
	if need := s2.MaxEncodedLen(len(message)); cap(s.buffer) < need {
		s.buffer = make([]byte, need)
	}
	return s2.EncodeSnappy(s.buffer[:cap(s.buffer)], message)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// remedy tells those who run the programs what to change.
func remedy(a answer) zap.Field {
	const key = "remedy"
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return zap.String(key, "check remote_write::headers, ::auth and ::tls")
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return zap.String(key, "check the path of remote_write::endpoint; Prometheus needs --web.enable-remote-write-receiver")
	case http.StatusUnsupportedMediaType:
		return zap.String(key, "the receiver does not take this protocol: set remote_write::protocol to v1")
	case http.StatusTooManyRequests:
		return zap.String(key, "raise the receiver's limits or send less")
	case 0:
		return zap.String(key, "check that the receiver runs and can be reached")
	default:
		return zap.String(key, "see the receiver's log")
	}
}

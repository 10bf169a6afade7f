package spool

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/ledger"
)

const (
	reasonTooLarge = "too_large"
	reasonShutdown = "shutdown"

	// syncEvery bounds what a power loss can take: data of this long.
	syncEvery = time.Second
	// shutdownGrace is how long Shutdown waits when its context has no end: for
	// the request in flight, and in memory mode for all that is left.
	shutdownGrace = 5 * time.Second

	// passTimeout bounds a delivery past a spool that cannot be written to.
	passTimeout = 10 * time.Second

	minRetryDelay = 100 * time.Millisecond
	maxRetryDelay = 10 * time.Second
)

var errNotRunning = errors.New("spool is not running")

// signal is what a spool has to know about a kind of data.
type signal[T any] struct {
	name      ledger.Signal
	marshal   func(T) ([]byte, error)
	unmarshal func([]byte) (T, error)
	items     func(T) int
	send      func(context.Context, T) error // the next consumer
}

// spool is the processor for one signal.
type spool[T any] struct {
	cfg    *Config
	id     component.ID
	signal signal[T]
	book   *book

	mu    sync.RWMutex // guards queue; held for reading while appending
	queue *queue       // nil unless running

	wake     chan struct{} // of capacity 1: the queue may have become non-empty
	stopping chan struct{} // closed by Shutdown
	cancel   context.CancelFunc
	gauges   metric.Registration
	done     sync.WaitGroup
}

func newSpool[T any](set processor.Settings, cfg *Config, sig signal[T]) (*spool[T], error) {
	b, err := newBook(set.MeterProvider, set.Logger, sig.name, set.ID.String())
	if err != nil {
		return nil, err
	}
	return &spool[T]{
		cfg: cfg, id: set.ID, signal: sig, book: b,
		wake: make(chan struct{}, 1), stopping: make(chan struct{}),
	}, nil
}

// Start recovers what an earlier process left and begins to send it.
func (s *spool[T]) Start(context.Context, component.Host) error {
	q, err := s.open()
	if err != nil {
		return err
	}
	if s.gauges, err = s.book.observe(q.stat); err != nil {
		return errors.Join(err, q.close())
	}
	s.mu.Lock()
	s.queue = q
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Go(func() { s.drain(ctx, q) })
	if s.durable() {
		s.done.Go(func() { s.keepSynced(q) })
	}
	return nil
}

func (s *spool[T]) durable() bool { return s.cfg.Directory != "" }

func (s *spool[T]) open() (*queue, error) {
	if !s.durable() {
		return newQueue(newMemory(), contents{}, s.cfg.maxBytes(), s.book), nil
	}
	// Escaped, since the name of a component may hold a slash.
	dir, err := openDirectory(filepath.Join(s.cfg.Directory, url.PathEscape(s.id.String())+"-"+string(s.signal.name)))
	if err != nil {
		return nil, err
	}
	found, err := dir.recover(s.book)
	if err != nil {
		return nil, errors.Join(err, dir.close())
	}
	return newQueue(dir, found, s.cfg.maxBytes(), s.book), nil
}

// consume takes data over: nil means that it is in the spool.
func (s *spool[T]) consume(ctx context.Context, data T) error {
	items := s.signal.items(data)
	if items == 0 {
		return nil
	}
	payload, err := s.signal.marshal(data)
	if err != nil {
		s.book.account.Dropped(items, ledger.ReasonMalformed)
		return consumererror.NewPermanent(fmt.Errorf("spool %s: marshal: %w", s.signal.name, err))
	}
	s.mu.RLock()
	q := s.queue
	if q == nil {
		s.mu.RUnlock()
		return errNotRunning
	}
	err = q.append(payload, items)
	s.mu.RUnlock()
	if err != nil {
		return s.pass(ctx, q, data, s.refusal(items, len(payload), err))
	}
	s.book.complaints.Over("refused", "data can be spooled again")
	select {
	case s.wake <- struct{}{}:
	default: // it is going to look anyway
	}
	return nil
}

// pass hands data that the disk cannot take to the next consumer, if nothing
// waits that should come before them: a full disk then costs the protection
// against outages and not the data.
func (s *spool[T]) pass(ctx context.Context, q *queue, data T, refusal error) error {
	if consumererror.IsPermanent(refusal) || !q.idle() {
		return refusal
	}
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	if err := s.signal.send(ctx, data); err != nil {
		return errors.Join(refusal, err)
	}
	return nil
}

// refusal counts and reports an entry that the queue did not take.
func (s *spool[T]) refusal(items, bytes int, err error) error {
	err = fmt.Errorf("spool %s: %w", s.signal.name, err)
	if errors.Is(err, errTooLarge) {
		s.book.account.Dropped(items, reasonTooLarge)
		s.book.complaints.Warn(reasonTooLarge, "data are lost: one request is larger than a quarter of the spool; make max_bytes larger or requests smaller",
			zap.Int("items", items), zap.Int("bytes", bytes), zap.Int64("max_bytes", s.cfg.maxBytes()))
		return consumererror.NewPermanent(err)
	}
	reason := "write"
	if errors.Is(err, errFull) {
		reason = ledger.ReasonQueueFull
	}
	s.book.refused(items, reason)
	s.book.complaints.Error("refused/"+reason, "cannot spool data: they are sent on unspooled if nothing waits, else they go back to their sender; free the disk or repair it",
		zap.Int("items", items), zap.Error(err))
	return err
}

// drain hands on what is in the queue, in order, one request at a time.
func (s *spool[T]) drain(ctx context.Context, q *queue) {
	limit := int(min(maxSendBytes, q.segmentBytes))
	for delay := minRetryDelay; !s.isStopping() || !s.durable(); {
		r, err := q.next(limit)
		switch {
		case err != nil:
			s.book.fault("read", "cannot read the spool: its entries wait on disk until they can be read, or until it is full", err)
			if !s.wait(ctx, delay) {
				return
			}
			delay = min(2*delay, maxRetryDelay)
			continue
		case r.frames > 0:
			if !s.deliver(ctx, q, r) {
				return
			}
		case s.isStopping():
			return
		default:
			select {
			case <-s.wake:
			case <-s.stopping:
			}
		}
		delay = minRetryDelay
	}
}

// deliver sends a run until the next consumer has answered for it. It returns
// false when it had to stop before.
func (s *spool[T]) deliver(ctx context.Context, q *queue, r run) bool {
	for delay := minRetryDelay; ; delay = min(2*delay, maxRetryDelay) {
		// Anew for each try: the next consumer may change what it gets.
		data, err := s.signal.unmarshal(r.payload)
		if err != nil {
			return s.isolate(ctx, q, r)
		}
		if r.items > 0 {
			err = s.signal.send(ctx, data)
		}
		if err == nil || consumererror.IsPermanent(err) {
			s.book.complaints.Over("unanswered", "the next hop takes spooled data again")
			q.ack(r)
			return true
		}
		s.book.complaints.Warn("unanswered", "the next hop did not take spooled data: they stay in the spool and are sent again",
			zap.Int("items", r.items), zap.Error(err))
		if !s.wait(ctx, delay) {
			return false
		}
	}
}

// isolate finds the entries of a run that have good checksums and still are not
// OTLP, which only another writer of the file can have caused.
func (s *spool[T]) isolate(ctx context.Context, q *queue, r run) bool {
	if r.frames == 1 {
		r.items, r.corrupt = 0, r.items
		q.ack(r)
		return true
	}
	first, err := q.next(0)
	if err != nil || first.frames == 0 {
		return true // drain reads again, and reports
	}
	return s.deliver(ctx, q, first)
}

// wait returns false when it is time to stop instead.
func (s *spool[T]) wait(ctx context.Context, delay time.Duration) bool {
	stopping := s.stopping
	if !s.durable() {
		stopping = nil // what is in memory is tried until ctx ends
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stopping:
		return false
	case <-ctx.Done():
		return false
	}
}

func (s *spool[T]) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

func (s *spool[T]) keepSynced(q *queue) {
	ticker := time.NewTicker(syncEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			q.sync()
		case <-s.stopping:
			return
		}
	}
}

// Shutdown waits for the request in flight. In a directory the rest stays for
// the next start; in memory it is sent as far as time allows, and what is left
// counts as dropped.
func (s *spool[T]) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	q := s.queue
	s.queue = nil // after this no append can be under way
	s.mu.Unlock()
	if q == nil {
		return nil
	}
	close(s.stopping)
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, shutdownGrace)
		defer cancel()
	}
	unhook := context.AfterFunc(ctx, s.cancel)
	s.done.Wait()
	unhook()
	s.cancel()
	if left := q.stat().items; left > 0 && !s.durable() {
		s.book.dropped(left, reasonShutdown)
		s.book.complaints.Warn(reasonShutdown, "data in memory are lost: the next hop did not take them before the end; give the spool a directory",
			zap.Int("items", left))
	}
	return errors.Join(s.gauges.Unregister(), q.close())
}

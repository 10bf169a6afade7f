package containerlogs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

const (
	// tickEvery is the time a written line waits for others before it is
	// read: lines of all files that come within it share one batch.
	tickEvery = 100 * time.Millisecond
	// saveEvery is how often changed offsets are written, and so, with what
	// is in flight, what kill -9 makes the next run send again.
	saveEvery = time.Second
	// shutdownWait is how long Shutdown lets running deliveries finish.
	shutdownWait = 3 * time.Second
)

// logsReceiver owns the goroutines: one that discovers files, one for inotify,
// one for the tick, one that saves offsets, and the lanes.
type logsReceiver struct {
	cfg        *Config
	log        *zap.Logger
	set        receiver.Settings
	next       consumer.Logs
	tel        *telemetry
	complaints *complaint.Log
	store      store

	sched     *scheduler
	buffers   buffers
	discovery discovery
	changed   atomic.Bool // offsets were committed since they were saved

	mu      sync.Mutex // guards what follows, for Shutdown without or beside Start
	stop    func()     // ends everything but deliveries
	abandon func()     // ends deliveries
	work    sync.WaitGroup
	lanes   sync.WaitGroup
}

func newLogsReceiver(set receiver.Settings, cfg *Config, next consumer.Logs) (*logsReceiver, error) {
	tel, err := newTelemetry(set.MeterProvider)
	if err != nil {
		return nil, err
	}
	return &logsReceiver{
		cfg:        cfg,
		log:        set.Logger,
		set:        set,
		next:       next,
		tel:        tel,
		complaints: complaint.New(set.Logger, time.Minute),
		store:      store{directory: cfg.Directory},
	}, nil
}

// Start reads the stored offsets and begins to follow the logs.
func (r *logsReceiver) Start(_ context.Context, host component.Host) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	admit, err := podAdmission(r.cfg.Pods, host)
	if err != nil {
		return err
	}
	if err := r.store.lock(); errors.Is(err, errLocked) {
		return err
	} else if err != nil {
		r.log.Error("Offsets cannot be kept; a restart will send all lines again. Make the directory writable.", zap.Error(err))
	}
	r.sched = newScheduler()
	r.buffers = newBuffers(r.cfg)
	r.discovery = discovery{
		cfg: r.cfg, complaints: r.complaints, tel: r.tel, sched: r.sched,
		watch: r.newWatcher(), admit: admit,
	}
	r.loadOffsets()
	r.discovery.init()
	if err := r.tel.observe(r.set.MeterProvider, &r.discovery.openFiles); err != nil {
		r.discovery.watch.close()
		r.store.unlock()
		return fmt.Errorf("register gauges: %w", err)
	}
	r.run()
	return nil
}

// newWatcher returns nil where the kernel has no inotify instance left.
func (r *logsReceiver) newWatcher() *watcher {
	w, err := newWatcher()
	if err != nil {
		r.log.Warn("Changes are only found by the periodic scan, so lines arrive later. Raise fs.inotify.max_user_instances.", zap.Error(err))
		return nil
	}
	return w
}

func (r *logsReceiver) loadOffsets() {
	entries, found, err := r.store.read()
	if err != nil {
		r.tel.offsetWrites.add("unreadable")
		r.log.Error("Offsets cannot be used; every log file is read from its beginning, so that lines already sent are sent again.", zap.Error(err))
	}
	stored := make(map[string][]entry, len(entries))
	for _, e := range entries {
		if key, _, ok := tailKey(e.path); ok {
			stored[key] = append(stored[key], e)
		}
	}
	r.discovery.stored = stored
	r.discovery.skipExisting = r.cfg.StartAt == startAtEnd && !found && err == nil
}

// run starts the goroutines. A delivery outlives the end of reading, so it has
// a context of its own.
func (r *logsReceiver) run() {
	ctx, stop := context.WithCancel(context.Background())
	deliveries, abandon := context.WithCancel(context.Background())
	watch := r.discovery.watch
	r.stop = func() {
		stop()
		r.sched.close()
		watch.close()
	}
	r.abandon = abandon
	r.work.Go(func() { r.discovery.run(ctx) })
	r.work.Go(func() { r.ticks(ctx) })
	r.work.Go(func() { r.saves(ctx) })
	if watch != nil {
		r.work.Go(watch.run)
	}
	for range max(1, r.cfg.MaxInFlightBytes/batchBytes) {
		r.lanes.Go(func() { newLane(r).run(deliveries) })
	}
}

// ticks makes waiting tails ready, tickEvery after the first began to wait.
func (r *logsReceiver) ticks(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.sched.started:
		}
		timer.Reset(tickEvery)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		r.sched.tick()
	}
}

// saves writes changed offsets.
func (r *logsReceiver) saves(ctx context.Context) {
	if r.cfg.Directory == "" {
		return
	}
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.save()
		}
	}
}

// save writes the offsets if any changed. Before the first scan is over the
// file of the last run knows more than we do.
func (r *logsReceiver) save() {
	if r.cfg.Directory == "" || !r.discovery.scanned.Load() || !r.changed.Swap(false) {
		return
	}
	if err := r.store.write(encodeOffsets(nil, r.discovery.entries())); err != nil {
		r.changed.Store(true)
		r.tel.offsetWrites.add("error")
		r.complaints.Warn("offsets",
			"Offsets cannot be written; reading goes on, but a restart would send lines since the last write again.", zap.Error(err))
		return
	}
	r.tel.offsetWrites.add("ok")
	r.complaints.Over("offsets", "Offsets can be written again.")
}

// entries collects the offsets of all tails, and those of an earlier run
// whose files have not been seen.
func (d *discovery) entries() []entry {
	var all []entry
	for _, t := range d.snapshot() {
		all = t.entries(all)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, stored := range d.stored {
		all = append(all, stored...)
	}
	return all
}

// Shutdown stops reading, gives running deliveries a moment to be
// acknowledged, and writes the offsets.
func (r *logsReceiver) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop == nil {
		return nil
	}
	r.stop()
	r.stop = nil
	delivered := make(chan struct{})
	go func() { // ends with the lanes, which abandon ends
		r.lanes.Wait()
		close(delivered)
	}()
	timer := time.NewTimer(shutdownWait)
	defer timer.Stop()
	select {
	case <-delivered:
	case <-timer.C:
	case <-ctx.Done():
	}
	r.abandon()
	<-delivered
	r.work.Wait()
	r.save()
	r.store.unlock()
	r.discovery.closeAll()
	return r.tel.stop()
}

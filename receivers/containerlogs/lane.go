package containerlogs

import (
	"context"
	"errors"
	"os"
	"runtime"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
)

const (
	// batchBytes is the log text that fills a batch. It stays well under
	// gRPC's 4 MiB message limit with all attributes.
	batchBytes = 512 << 10
	chunkBytes = 256 << 10
	// A failed batch is tried again after retryMin, doubling to retryMax.
	retryMin = 100 * time.Millisecond
	retryMax = 5 * time.Second
)

// lane fills a batch from the tails in the queue, delivers it, commits its
// offsets and begins again. So the number of lanes bounds the batches in
// flight and their memory, and when all wait for an answer nothing is read.
type lane struct {
	r     *logsReceiver
	buf   []byte // while it fills a batch
	now   time.Time
	lines lineReader
	spare plog.ResourceLogs // without records
}

// buffers are kept for the lanes that read at a time, which are fewer than
// those that wait for an answer.
type buffers struct {
	idle  chan []byte
	bytes int // of one
}

func newBuffers(cfg *Config) buffers {
	return buffers{make(chan []byte, runtime.GOMAXPROCS(0)), max(chunkBytes, cfg.MaxLineBytes+4096)}
}

func (b buffers) take() []byte {
	select {
	case buf := <-b.idle:
		return buf
	default:
		return make([]byte, b.bytes)
	}
}

func (b buffers) give(buf []byte) {
	select {
	case b.idle <- buf:
	default:
	}
}

// batch is the lane's unit of delivery.
type batch struct {
	logs    plog.Logs
	bytes   int64
	members []*member
}

// member is a tail in a batch.
type member struct {
	tail    *tail
	records plog.LogRecordSlice
	outcome outcome
	marks   []mark
}

// noRecords is a member's records before its first.
var noRecords plog.LogRecordSlice

func newLane(r *logsReceiver) *lane {
	return &lane{
		r:     r,
		spare: plog.NewResourceLogs(),
		lines: lineReader{maxBytes: r.cfg.MaxLineBytes},
	}
}

// run works until the scheduler is closed. ctx ends deliveries that take
// longer than Shutdown waits.
func (l *lane) run(ctx context.Context) {
	for {
		t := l.r.sched.next()
		if t == nil {
			return
		}
		b := &batch{logs: plog.NewLogs()}
		l.buf = l.r.buffers.take()
		l.fill(b, t)
		l.r.buffers.give(l.buf)
		if len(b.members) > 0 && !l.deliver(ctx, b.logs) {
			return // not acknowledged: sent again by the next run
		}
		for _, m := range b.members {
			m.tail.commit(m.marks)
			l.release(m.tail, m.outcome)
		}
		if len(b.members) > 0 {
			l.r.changed.Store(true)
		}
	}
}

// fill reads tails until the batch is full or nothing is ready: each gets one
// chunk in turn, and those with more get further ones while there is room.
func (l *lane) fill(b *batch, t *tail) {
	l.now = time.Now()
	l.lines.observed = pcommon.NewTimestampFromTime(l.now)
	for t != nil {
		m := &member{tail: t}
		l.read(b, m)
		if m.records == noRecords {
			l.release(t, m.outcome)
		} else {
			b.members = append(b.members, m)
		}
		if b.bytes >= batchBytes {
			break
		}
		t = l.r.sched.tryNext()
	}
	for again := true; again && b.bytes < batchBytes; {
		again = false
		for _, m := range b.members {
			if m.outcome == more && b.bytes < batchBytes {
				l.read(b, m)
				again = true
			}
		}
	}
	for _, m := range b.members {
		m.marks = m.tail.marks()
	}
	l.r.sched.help()
}

// read gives a tail one turn. Its records go into a resource of their own.
func (l *lane) read(b *batch, m *member) {
	first := m.records == noRecords
	l.lines.records = m.records
	if first {
		l.lines.records = l.spareRecords()
	}
	l.lines.state = &m.tail.lines
	m.outcome = l.turn(m.tail)
	b.bytes += l.lines.tally.bytes
	l.r.tel.count(&l.lines.tally)
	if first && l.lines.records.Len() > 0 {
		dest := b.logs.ResourceLogs().AppendEmpty()
		l.spare.MoveTo(dest)
		m.tail.resource.CopyTo(dest.Resource())
		m.records = dest.ScopeLogs().At(0).LogRecords()
	}
}

// spareRecords returns an empty slice that is not in a batch yet: most turns
// of a quiet file find nothing and leave it for the next one.
func (l *lane) spareRecords() plog.LogRecordSlice {
	if l.spare.ScopeLogs().Len() == 0 {
		l.spare.ScopeLogs().AppendEmpty()
	}
	return l.spare.ScopeLogs().At(0).LogRecords()
}

// release gives a tail back. A cold one is watched first; what was written
// between the last read and the watch makes it hot after all.
func (l *lane) release(t *tail, o outcome) {
	if o == cold && !l.r.discovery.armed(t) {
		o = hot
	}
	l.r.sched.release(t, o)
}

// armed arms the alarm for the next write to the tail's file. It returns false
// when there is something to read already.
func (d *discovery) armed(t *tail) bool {
	if d.watch == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.head()
	if f == nil || f.gone {
		return true
	}
	file, plain := f.source.(*os.File)
	if !plain {
		return true // unreadable now: the scan tries again
	}
	if err := d.watch.arm(file, t); err != nil {
		if !errors.Is(err, os.ErrClosed) {
			d.unwatched(err)
		}
		return true
	}
	_, size, _, err := statOpen(file)
	return err != nil || size == f.seen
}

// deliver hands logs to the next consumer until it takes or refuses them for
// good; false when ctx ended first.
func (l *lane) deliver(ctx context.Context, logs plog.Logs) bool {
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		err := l.r.next.ConsumeLogs(ctx, logs)
		if err == nil {
			if pause > retryMin {
				l.r.complaints.Over("retry", "Log records are delivered again.")
			}
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if consumererror.IsPermanent(err) {
			// Whoever refused the records has counted them as dropped.
			l.r.tel.refused.Add(ctx, int64(logs.LogRecordCount()))
			l.r.complaints.Warn("refused",
				"Log records were refused for good and are not sent again.", zap.Error(err))
			return true
		}
		var rest consumererror.Logs
		if errors.As(err, &rest) { // a part of the batch was taken
			logs = rest.Data()
		}
		l.r.tel.retries.Add(ctx, 1)
		l.r.complaints.Warn("retry",
			"Log records could not be delivered; nothing is lost, the same records are sent again.", zap.Error(err))
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

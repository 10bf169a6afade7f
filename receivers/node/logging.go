package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// complaintInterval is how often one cause is logged while it lasts.
	complaintInterval = 5 * time.Minute
	// maxCauses bounds the causes remembered; collectors and their messages are
	// few, but messages are theirs to write.
	maxCauses = 512
)

// complaints logs each cause at once and then seldom. Safe for concurrent use.
type complaints struct {
	logger *zap.Logger
	mu     sync.Mutex
	causes map[string]*complaint
}

type complaint struct {
	logged     time.Time
	suppressed int
}

func newComplaints(logger *zap.Logger) *complaints {
	return &complaints{logger: logger, causes: map[string]*complaint{}}
}

// warn logs a message for a cause unless it did so lately.
func (c *complaints) warn(cause, message string, fields ...zap.Field) {
	if suppressed, due := c.due(cause); due {
		c.logger.Warn(message, append(fields, zap.Int("suppressed", suppressed))...)
	}
}

func (c *complaints) due(cause string) (suppressed int, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.causes[cause]
	if known == nil {
		if len(c.causes) >= maxCauses {
			return 0, false
		}
		known = &complaint{}
		c.causes[cause] = known
	}
	if !known.logged.IsZero() && time.Since(known.logged) < complaintInterval {
		known.suppressed++
		return 0, false
	}
	suppressed = known.suppressed
	known.logged, known.suppressed = time.Now(), 0
	return suppressed, true
}

// bridge is the slog.Handler by which node_exporter's collectors write to the
// program's log: their warnings and errors, seldom.
type bridge struct {
	complaints *complaints
	collector  string
}

// Enabled implements slog.Handler.
func (b bridge) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || b.complaints.logger.Core().Enabled(zapcore.DebugLevel)
}

// Handle implements slog.Handler.
func (b bridge) Handle(_ context.Context, record slog.Record) error {
	fields := make([]zap.Field, 0, record.NumAttrs()+1)
	fields = append(fields, zap.String("collector", b.collector))
	record.Attrs(func(a slog.Attr) bool {
		fields = append(fields, zap.String(a.Key, a.Value.String()))
		return true
	})
	if record.Level < slog.LevelWarn {
		b.complaints.logger.Debug(record.Message, fields...)
		return nil
	}
	b.complaints.warn(b.collector+"\x00"+record.Message, record.Message, fields...)
	return nil
}

// WithAttrs implements slog.Handler. What node_exporter adds is the
// collector's name, which the bridge has.
func (b bridge) WithAttrs([]slog.Attr) slog.Handler { return b }

// WithGroup implements slog.Handler. The collectors have no groups.
func (b bridge) WithGroup(string) slog.Handler { return b }

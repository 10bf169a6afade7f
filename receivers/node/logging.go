package node

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

// bridge is the slog.Handler by which node_exporter's collectors write to the
// program's log: their warnings and errors, seldom.
type bridge struct {
	logger     *zap.Logger
	complaints *complaint.Log
	collector  string
}

// Enabled implements slog.Handler.
func (b bridge) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || b.logger.Core().Enabled(zapcore.DebugLevel)
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
		b.logger.Debug(record.Message, fields...)
		return nil
	}
	b.complaints.Warn("collector/"+b.collector+"/"+record.Message, record.Message, fields...)
	return nil
}

// WithAttrs implements slog.Handler. What node_exporter adds is the
// collector's name, which the bridge has.
func (b bridge) WithAttrs([]slog.Attr) slog.Handler { return b }

// WithGroup implements slog.Handler. The collectors have no groups.
func (b bridge) WithGroup(string) slog.Handler { return b }

// Package complaint logs troubles that repeat: each cause at once, then once per
// interval with the number of times it was left out, and that it is over.
//
// A component that meets the same dead store with each request would fill the
// log of every node and hide all else; its counters have the exact numbers.
//
// A cause is named by the code, from the wide to the narrow: "scrape/timeout".
// Words of the outside world may be part of it where they tell causes apart,
// since what is remembered is bounded in bytes.
package complaint

import (
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Interval is how often a cause is worth a line while it lasts, where nothing
// speaks for another interval.
const Interval = 5 * time.Minute

const (
	// maxBytes bounds the memory for causes: some hundred of ordinary names.
	maxBytes = 32 << 10
	// causeBytes is what a cause takes besides its name.
	causeBytes = 96
)

// Log is where one component complains. It is safe for concurrent use.
type Log struct {
	logger   *zap.Logger
	interval time.Duration

	mu     sync.Mutex
	causes map[string]*cause
	bytes  int   // of causes, at most maxBytes
	others cause // all those for which there is no room, taken for one
}

type cause struct {
	logged     time.Time // zero: never
	suppressed int       // times not logged since logged
	standing   bool      // logged, and not over since
}

// New returns a log that tells of a cause once per interval.
func New(logger *zap.Logger, interval time.Duration) *Log {
	return &Log{
		logger:   logger.WithOptions(zap.AddCallerSkip(2)), // say and the method that calls it
		interval: interval,
		causes:   map[string]*cause{},
	}
}

// Info logs what needs nobody's hand, unless the cause was logged lately.
func (l *Log) Info(cause, message string, fields ...zap.Field) {
	l.say(zapcore.InfoLevel, cause, message, fields)
}

// Warn logs a message for a cause unless it was logged lately.
func (l *Log) Warn(cause, message string, fields ...zap.Field) {
	l.say(zapcore.WarnLevel, cause, message, fields)
}

// Error logs a message for a cause unless it was logged lately.
func (l *Log) Error(cause, message string, fields ...zap.Field) {
	l.say(zapcore.ErrorLevel, cause, message, fields)
}

func (l *Log) say(level zapcore.Level, cause, message string, fields []zap.Field) {
	if suppressed, due := l.due(cause); due {
		l.logger.Log(level, message, append(fields[:len(fields):len(fields)], zap.Int("suppressed", suppressed))...)
	}
}

// Over logs, as information, that a cause has ended, or all causes below it
// ("scrape" for "scrape/timeout"), if the log says that one lasts. A cause that
// comes and goes is logged once per interval like one that stays, and so is its end.
func (l *Log) Over(cause, message string, fields ...zap.Field) {
	if suppressed, ended := l.end(cause); ended {
		l.logger.WithOptions(zap.AddCallerSkip(-1)).
			Info(message, append(fields[:len(fields):len(fields)], zap.Int("suppressed", suppressed))...)
	}
}

func (l *Log) due(name string) (suppressed int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	c := l.causes[name]
	if c == nil {
		c = l.add(name, now)
	}
	if !c.logged.IsZero() && now.Sub(c.logged) < l.interval {
		c.suppressed++
		return 0, false
	}
	suppressed = c.suppressed
	*c = cause{logged: now, standing: true}
	return suppressed, true
}

// add returns a new cause, after making room for it if there is none. What a
// forgotten cause left out since its last line is not told.
func (l *Log) add(name string, now time.Time) *cause {
	cost := causeBytes + len(name)
	if l.bytes+cost > maxBytes {
		for name, c := range l.causes {
			if now.Sub(c.logged) >= l.interval {
				delete(l.causes, name)
				l.bytes -= causeBytes + len(name)
			}
		}
	}
	if l.bytes+cost > maxBytes {
		return &l.others
	}
	c := &cause{}
	l.causes[strings.Clone(name)] = c
	l.bytes += cost
	return c
}

func (l *Log) end(name string) (suppressed int, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for known, c := range l.causes {
		if rest, ok := strings.CutPrefix(known, name); !ok || rest != "" && rest[0] != '/' {
			continue
		}
		if !c.standing {
			continue
		}
		suppressed += c.suppressed
		ended = true
		c.suppressed, c.standing = 0, false
	}
	return suppressed, ended
}

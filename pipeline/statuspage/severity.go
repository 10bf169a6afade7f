package statuspage

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/plog"
)

// severity is coarse: what a person filters by.
type severity uint8

const (
	unknown severity = iota
	trace
	debug
	info
	warn
	fault
	fatal
)

var severityNames = [...]string{"", "trace", "debug", "info", "warn", "error", "fatal"}

func (s severity) String() string { return severityNames[s] }

func parseSeverity(name string) (severity, bool) {
	for i, n := range severityNames {
		if n == name {
			return severity(i), true
		}
	}
	return unknown, false
}

// severityOf is what the record says, else what its text looks like.
func severityOf(record plog.LogRecord, body string) severity {
	if n := record.SeverityNumber(); n > 0 && n <= plog.SeverityNumberFatal4 {
		return severity((n-1)/4) + trace
	}
	if s := severityWord(record.SeverityText()); s != unknown {
		return s
	}
	return detectSeverity(body)
}

// searched is how much of a line is looked at: levels stand at its beginning.
const searched = 256

// words are what programs write, in lower case.
var words = map[string]severity{
	"trace": trace, "trc": trace,
	"debug": debug, "dbg": debug, "debu": debug,
	"info": info, "inf": info, "information": info, "notice": info,
	"warn": warn, "warning": warn, "wrn": warn,
	"error": fault, "err": fault, "erro": fault, "severe": fault,
	"fatal": fatal, "panic": fatal, "critical": fatal, "crit": fatal, "emerg": fatal, "alert": fatal,
}

func severityWord(word string) severity {
	if len(word) < 3 || len(word) > len("information") {
		return unknown
	}
	return words[strings.ToLower(word)]
}

// detectSeverity finds level=…, "level":"…" and the like, else klog's first
// letter, else the first word of the line's beginning that is a level in
// capitals or in brackets.
func detectSeverity(line string) severity {
	line = line[:min(len(line), searched)]
	for _, key := range []string{"level", "severity", "lvl"} {
		for rest := line; ; {
			_, after, ok := strings.Cut(rest, key)
			if !ok {
				break
			}
			if value := strings.TrimLeft(after, `": =`); len(value) < len(after) {
				if s := severityWord(firstWord(value)); s != unknown {
					return s
				}
			}
			rest = after
		}
	}
	if s := klogSeverity(line); s != unknown {
		return s
	}
	return capitalWord(line)
}

func firstWord(text string) string {
	end := 0
	for end < len(text) && isLetter(text[end]) {
		end++
	}
	return text[:end]
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// klogSeverity knows lines like "E1123 10:39:18.…".
func klogSeverity(line string) severity {
	if len(line) < 6 || !isDigit(line[1]) || !isDigit(line[2]) || !isDigit(line[3]) || !isDigit(line[4]) || line[5] != ' ' {
		return unknown
	}
	switch line[0] {
	case 'I':
		return info
	case 'W':
		return warn
	case 'E':
		return fault
	case 'F':
		return fatal
	}
	return unknown
}

// capitalWord finds a level in capitals, or one in any case within brackets.
func capitalWord(line string) severity {
	for i := 0; i < len(line); {
		if !isLetter(line[i]) {
			i++
			continue
		}
		word := firstWord(line[i:])
		bracketed := i > 0 && line[i-1] == '[' && i+len(word) < len(line) && line[i+len(word)] == ']'
		if bracketed || word == strings.ToUpper(word) {
			if s := severityWord(word); s != unknown {
				return s
			}
		}
		i += len(word)
	}
	return unknown
}

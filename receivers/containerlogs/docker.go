package containerlogs

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// parseDocker parses a line of Docker's json-file log driver:
// {"log":"text\n","stream":"stdout","time":"2006-01-02T15:04:05.999999999Z"}.
// Other members are skipped. Docker cuts lines at 16 KiB; a part that
// continues has no newline at the end of "log".
func (c *clock) parseDocker(line string) (piece, fault) {
	p := piece{stream: noStream, partial: true, unixNano: -1}
	s := skipSpace(line[1:])
	seenLog := false
	for s != "" && s[0] == '"' {
		key, rest, ok := jsonString(s)
		rest = skipSpace(rest)
		if !ok || rest == "" || rest[0] != ':' {
			return p, faultJSON
		}
		value, rest, ok := jsonValue(skipSpace(rest[1:]))
		if !ok {
			return p, faultJSON
		}
		switch key {
		case "log":
			if seenLog = p.setText(value); !seenLog {
				return p, faultJSON
			}
		case "stream":
			p.setStream(value)
		case "time":
			if p.unixNano, ok = c.parse(unquote(value)); !ok {
				return p, faultTimestamp
			}
		}
		if s = skipSpace(rest); s == "" || s[0] != ',' {
			break
		}
		s = skipSpace(s[1:])
	}
	switch {
	case strings.TrimRight(s, " \t\r") != "}" || !seenLog:
		return p, faultJSON
	case p.unixNano < 0:
		return p, faultTimestamp
	case p.stream == noStream:
		return p, faultStream
	}
	return p, ""
}

func (p *piece) setStream(value string) {
	switch value {
	case `"stdout"`:
		p.stream = stdout
	case `"stderr"`:
		p.stream = stderr
	}
}

// setText takes the quoted "log" member. Almost every line's only escape is
// the newline at its end, which needs no copy.
func (p *piece) setText(value string) bool {
	if len(value) < 2 || value[0] != '"' {
		return false
	}
	raw := value[1 : len(value)-1]
	i := strings.IndexByte(raw, '\\')
	switch {
	case i < 0:
		p.content, p.partial = raw, true
	case i == len(raw)-2 && raw[i+1] == 'n':
		p.content, p.partial = raw[:i], false
	default:
		text, ok := unescape(raw, i)
		if !ok {
			return false
		}
		p.content, p.partial = strings.TrimSuffix(text, "\n"), !strings.HasSuffix(text, "\n")
	}
	return true
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' {
		return ""
	}
	return s[1 : len(s)-1]
}

// jsonString reads a quoted string and returns what is between the quotes,
// escapes unresolved.
func jsonString(s string) (raw, rest string, ok bool) {
	for i := 1; i < len(s); {
		j := strings.IndexByte(s[i:], '"')
		if j < 0 {
			return "", "", false
		}
		i += j
		backslashes := 0
		for s[i-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return s[1:i], s[i+1:], true
		}
		i++
	}
	return "", "", false
}

// jsonValue returns the text of the value that s begins with. Members that
// Docker adds (attrs) are objects; of those only the nesting is followed.
func jsonValue(s string) (value, rest string, ok bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			_, after, ok := jsonString(s[i:])
			if !ok {
				return "", "", false
			}
			i = len(s) - len(after) - 1
			if depth == 0 {
				return s[:i+1], s[i+1:], i >= 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return s[:i], s[i:], i > 0
			}
			depth--
		case ',':
			if depth == 0 {
				return s[:i], s[i:], i > 0
			}
		}
	}
	return "", "", false
}

func skipSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t' || s[0] == '\r') {
		s = s[1:]
	}
	return s
}

// unescape resolves JSON escapes in raw; the first backslash is at i.
func unescape(raw string, i int) (string, bool) {
	out := make([]byte, 0, len(raw))
	for i >= 0 {
		out = append(out, raw[:i]...)
		raw = raw[i:]
		if len(raw) < 2 {
			return "", false
		}
		var n int
		if out, n = appendEscape(out, raw); n == 0 {
			return "", false
		}
		raw = raw[n:]
		i = strings.IndexByte(raw, '\\')
	}
	return string(append(out, raw...)), true
}

// appendEscape appends what the escape at the start of s stands for and
// returns the escape's length, 0 for one that JSON does not have.
func appendEscape(out []byte, s string) ([]byte, int) {
	switch s[1] {
	case '"', '\\', '/':
		return append(out, s[1]), 2
	case 'n':
		return append(out, '\n'), 2
	case 't':
		return append(out, '\t'), 2
	case 'r':
		return append(out, '\r'), 2
	case 'b':
		return append(out, '\b'), 2
	case 'f':
		return append(out, '\f'), 2
	case 'u':
		r, ok := hex4(s)
		if !ok {
			return out, 0
		}
		if utf16.IsSurrogate(r) {
			if low, ok := hex4(s[6:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
				return utf8.AppendRune(out, utf16.DecodeRune(r, low)), 12
			}
			r = utf8.RuneError
		}
		return utf8.AppendRune(out, r), 6
	}
	return out, 0
}

// hex4 reads "\uXXXX".
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for i := 2; i < 6; i++ {
		d := hexDigit[s[i]]
		if d > 15 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

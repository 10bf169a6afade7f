package containerlogs

import "strings"

// stream says which of a container's outputs a line came from.
type stream uint8

const (
	stdout stream = iota
	stderr
	noStream // of a line whose header cannot be read
	streams  = 3
)

// fault is why a line is malformed, "" when it is not. It is a label value of
// the malformed counter.
type fault string

const (
	faultTimestamp    fault = "timestamp"
	faultStream       fault = "stream"
	faultTag          fault = "tag"
	faultJSON         fault = "json"
	faultUnterminated fault = "unterminated"
)

// piece is one physical line: a whole log line, or a part of one that
// continues in the next piece of the same stream. content is part of the
// parsed string where no escape had to be resolved.
type piece struct {
	unixNano int64
	stream   stream
	partial  bool
	content  string
}

// parseLine parses a line without its newline. The CRI format begins with a
// digit, Docker's json-file format with a brace.
func (c *clock) parseLine(line string) (piece, fault) {
	if line != "" && line[0] == '{' {
		return c.parseDocker(line)
	}
	return c.parseCRI(line)
}

// parseCRI parses "TIMESTAMP STREAM TAG[:TAG...] CONTENT", the format of
// https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
// A partial line has P as its first tag, a whole one or the last part of one F.
func (c *clock) parseCRI(line string) (piece, fault) {
	var p piece
	i := strings.IndexByte(line, ' ')
	if i < 0 {
		return p, faultTimestamp
	}
	var ok bool
	if p.unixNano, ok = c.parse(line[:i]); !ok {
		return p, faultTimestamp
	}
	rest := line[i+1:]
	if len(rest) < 8 || rest[6] != ' ' {
		return p, faultStream
	}
	switch rest[:6] {
	case "stdout":
		p.stream = stdout
	case "stderr":
		p.stream = stderr
	default:
		return p, faultStream
	}
	return p, p.tag(rest[7:])
}

// tag reads "TAG[:TAG...] CONTENT", which is not empty; content may be.
func (p *piece) tag(s string) fault {
	switch s[0] {
	case 'F':
	case 'P':
		p.partial = true
	default:
		return faultTag
	}
	if len(s) == 1 {
		return ""
	}
	if s[1] == ' ' {
		p.content = s[2:]
		return ""
	}
	if s[1] != ':' {
		return faultTag
	}
	if i := strings.IndexByte(s, ' '); i > 0 {
		p.content = s[i+1:]
	}
	return ""
}

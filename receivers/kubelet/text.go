package kubelet

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
)

// parseText reads a part of a page in the text format 0.0.4 (or 1.0.0): its
// whole lines.
//
// A line whose beginning is that of a series seen before needs no parser: the
// same bytes mean the same series, and only the value and the time are read.
// All else goes through Prometheus' parser, which decides what is well-formed.
func (p *page) parseText(part []byte, last bool) (used int, err error) {
	body := part[:bytes.LastIndexByte(part, '\n')+1]
	if last && len(body) < len(part) {
		body = append(part, '\n')
	}
	// The parser appends a newline to what it is given; with room for it, it
	// neither copies the part nor do its slices lose their place in it. What
	// stands there is the next line's.
	body = slices.Grow(body, 1)
	next := &body[:len(body)+1][len(body)]
	defer func(c byte) { *next = c }(*next)

	pos, err := p.lines(body)
	if err != nil && last {
		return pos, p.errorAt(body, pos, err)
	}
	// Else the line may be well-formed with what follows: the parser takes a
	// newline within a label's value.
	p.behind += pos
	p.linesBehind += bytes.Count(body[:pos], []byte{'\n'})
	return pos, nil
}

// lines reads whole lines and gives the place of the first that cannot be read.
func (p *page) lines(body []byte) (pos int, err error) {
	var cold lexer
	for pos < len(body) {
		n := p.skip(body[pos:])
		if n == 0 {
			n = p.known(body[pos:])
		}
		if n == 0 {
			if n, err = p.lex(&cold, body, pos); err != nil {
				return pos, err
			}
		}
		pos += n
	}
	return pos, nil
}

// skip gives the length of a line whose series is not wanted, or 0 if it is or
// the parser has to see. What is not wanted is not judged either.
func (p *page) skip(line []byte) int {
	if p.filter == nil || line[0] == '#' || !p.filter.drops(nameOf(line)) {
		return 0
	}
	p.tally.samples++
	p.tally.filtered++
	return bytes.IndexByte(line, '\n') + 1
}

// nameOf gives the name with which a line begins, or nothing if it does not.
func nameOf(line []byte) []byte {
	for i, c := range line {
		if c == '{' || c == ' ' || c == '\t' || c == '\n' {
			return line[:i]
		}
	}
	return nil
}

// known takes a line that begins as one seen before, and gives its length with
// the newline, or 0 if it is not such a line.
func (p *page) known(line []byte) int {
	if line[0] == '#' || line[0] == '\n' {
		return 0
	}
	s := p.expected(line)
	if s == nil {
		end := seriesEnd(line)
		if s = p.byLine[p.hash(line[:end])]; s == nil || int(s.length) != end {
			return 0
		}
	}
	r, ok := readValue(line[s.length:])
	if !ok {
		return 0
	}
	if !r.timed {
		r.time = p.now
	}
	p.current(s)
	p.cursor = int(s.index) + 1
	p.sample(s, r.value, r.time)
	return int(s.length) + r.length
}

// expected gives the series that followed last time, if line is of it.
func (p *page) expected(line []byte) *series {
	if p.cursor >= len(p.order) {
		return nil
	}
	s := p.order[p.cursor]
	n := int(s.length)
	if len(line) <= n || line[n] != ' ' || p.hash(line[:n]) != s.line {
		return nil
	}
	return s
}

// seriesEnd gives the length of a line's name and labels, or 0 for a line of
// a form that needs the parser.
func seriesEnd(line []byte) int {
	i := bytes.IndexAny(line, "{ \t\n")
	if i <= 0 || line[i] != '{' {
		return max(i, 0)
	}
	for i++; i < len(line); i++ {
		skip := bytes.IndexAny(line[i:], `"}`)
		if skip < 0 {
			return 0
		}
		if i += skip; line[i] == '}' {
			return i + 1
		}
		if i = closingQuote(line, i+1); i < 0 {
			return 0
		}
	}
	return 0
}

// closingQuote gives the index of the quote that ends the text at i, or -1.
func closingQuote(line []byte, i int) int {
	for i < len(line) {
		skip := bytes.IndexByte(line[i:], '"')
		if skip < 0 {
			return -1
		}
		i += skip
		backslashes := 0
		for line[i-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return i
		}
		i++
	}
	return -1
}

// reading is what follows a series on its line.
type reading struct {
	value  float64
	time   int64 // in milliseconds since 1970
	timed  bool
	length int // with the newline
}

// readValue reads the end of a line. It takes less than the format allows:
// what is not in its usual form is for the parser to judge.
func readValue(b []byte) (reading, bool) {
	var r reading
	end := bytes.IndexByte(b, '\n')
	if end < 2 || b[0] != ' ' {
		return r, false
	}
	r.length = end + 1
	number, time, timed := bytes.Cut(b[1:end], []byte{' '})
	if timed {
		var ok bool
		if r.time, ok = readTime(time); !ok {
			return r, false
		}
		r.timed = true
	}
	var err error
	r.value, err = readFloat(number)
	return r, err == nil
}

// readTime reads digits alone, fewer than overflow.
func readTime(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	t := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		t = t*10 + int64(c-'0')
	}
	return t, true
}

var errNotFloat = errors.New("not a float")

// readFloat reads what textparse takes as a float: the forms before Go 1.13,
// and one kind of NaN.
func readFloat(b []byte) (float64, error) {
	if v, ok := readTime(b); ok && len(b) < 16 {
		return float64(v), nil
	}
	if len(b) == 0 || bytes.ContainsAny(b, "pP_{") {
		return 0, errNotFloat
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if math.IsNaN(v) {
		v = math.Float64frombits(value.NormalNaN)
	}
	return v, err
}

// lexer is Prometheus' parser at a place of the page.
type lexer struct {
	parser textparse.Parser
	at     int // where it stands; kept, so that successive lines share one
}

// lex takes the entry at pos with Prometheus' parser and gives its length.
func (p *page) lex(cold *lexer, body []byte, pos int) (int, error) {
	if cold.parser == nil || cold.at != pos {
		cold.parser = textparse.NewPromParser(body[pos:], nil, false)
	}
	entry, err := cold.parser.Next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return endOfText(body[pos:])
		}
		return 0, err
	}
	read, err := p.take(cold.parser, entry)
	if err != nil {
		return 0, err
	}
	// A slice's capacity tells where in the body it begins. What follows it on
	// its line has no quotes, so it ends with the line.
	end := cap(body) - cap(read) + len(read)
	cold.at = end + bytes.IndexByte(body[end:], '\n') + 1
	return cold.at - pos, nil
}

// endOfText says whether the page may end here. To the parser a NUL byte is
// an end too, which would hide the rest of the page.
func endOfText(rest []byte) (int, error) {
	if len(bytes.Trim(rest, " \t\n")) > 0 {
		return 0, errors.New("NUL byte outside of a label value")
	}
	return len(rest), nil
}

// take takes one entry from the parser and gives the bytes that stand for it.
func (p *page) take(parser textparse.Parser, entry textparse.Entry) ([]byte, error) {
	switch entry {
	case textparse.EntrySeries:
		raw, time, v := parser.Series()
		return raw, p.takeSeries(parser, raw, time, v)
	case textparse.EntryType:
		name, kind := parser.Type()
		p.declare(string(name), kind)
		return name, nil
	case textparse.EntryHelp:
		name, text := parser.Help()
		if f := p.family(string(name)); f.help != string(text) {
			f.help = string(text)
		}
		return name, nil
	case textparse.EntryUnit:
		name, unit := parser.Unit()
		p.family(string(name)).unit = string(unit)
		return name, nil
	default:
		return parser.Comment(), nil
	}
}

// takeSeries takes a sample whose series is perhaps not known yet.
func (p *page) takeSeries(parser textparse.Parser, raw []byte, time *int64, v float64) error {
	at := p.now
	if time != nil {
		at = *time
	}
	s := p.byLine[p.hash(raw)]
	switch {
	case s != nil:
		p.current(s)
	case p.full():
		p.tally.samples++
		p.tally.overLimit++
		return nil
	default:
		var id labels.Labels
		parser.Labels(&id)
		if p.filter.drops([]byte(id.Get(model.MetricNameLabel))) {
			p.tally.samples++
			p.tally.filtered++
			return nil
		}
		var err error
		if s, err = p.intern(raw, id); err != nil {
			return err
		}
	}
	if p.openMetrics && s.seen != p.generation {
		s.exemplars = exemplarsOf(parser)
	}
	p.sample(s, v, at)
	return nil
}

// errorAt says where on the page the parser stood.
func (p *page) errorAt(body []byte, pos int, err error) error {
	line := p.linesBehind + bytes.Count(body[:pos], []byte{'\n'}) + 1
	return &syntaxError{line: line, offset: p.behind + pos, err: err}
}

// syntaxError is a page that is not in its format.
type syntaxError struct {
	line, offset int
	err          error
}

func (e *syntaxError) Error() string {
	// The parser quotes the line, and a line may be as long as the page.
	const most = 300
	text := e.err.Error()
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return "line " + strconv.Itoa(e.line) + " (byte " + strconv.Itoa(e.offset) + "): " + text
}

func (e *syntaxError) Unwrap() error { return e.err }

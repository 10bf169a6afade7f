package containerlogs

import "time"

// clock parses RFC 3339 timestamps. Lines come in order, so nearly all share
// their minute with the line before: that prefix is parsed once and kept.
// The zero value is ready.
type clock struct {
	minute  [16]byte // "2006-01-02T15:04"
	seconds int64    // unix time of that minute, read as UTC
}

// parse reads RFC 3339 with up to nine digits of fraction and Z or a numeric
// offset. It returns unix nanoseconds, and false for what is not such a time
// or lies outside 1970..2261 (what an OTLP timestamp can hold).
func (c *clock) parse(s string) (int64, bool) {
	if len(s) < 20 || s[16] != ':' {
		return 0, false
	}
	if s[:16] != string(c.minute[:]) && !c.load(s[:16]) {
		return 0, false
	}
	sec := twoDigits(s[17], s[18])
	if sec < 0 || sec > 60 {
		return 0, false
	}
	nanos, rest, ok := fraction(s[19:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	if !ok {
		return 0, false
	}
	t := c.seconds + int64(sec) - offset
	if t < 0 {
		return 0, false
	}
	return t*1e9 + nanos, true
}

// load makes s the kept minute.
func (c *clock) load(s string) bool {
	if s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' {
		return false
	}
	hi, lo := twoDigits(s[0], s[1]), twoDigits(s[2], s[3])
	month, day := twoDigits(s[5], s[6]), twoDigits(s[8], s[9])
	hour, minute := twoDigits(s[11], s[12]), twoDigits(s[14], s[15])
	year := hi*100 + lo
	if hi < 0 || lo < 0 || year < 1970 || year > 2261 || month < 1 || month > 12 ||
		day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, 0, 0, time.UTC)
	if t.Day() != day { // 31 February became March
		return false
	}
	c.seconds = t.Unix()
	copy(c.minute[:], s)
	return true
}

// fraction reads an optional ".digits" and returns nanoseconds and the rest.
func fraction(s string) (nanos int64, rest string, ok bool) {
	if s == "" || s[0] != '.' {
		return 0, s, true
	}
	i, scale := 1, int64(1e9)
	for i < len(s) && s[i]-'0' <= 9 {
		if scale == 1 {
			return 0, "", false // a tenth digit
		}
		nanos = nanos*10 + int64(s[i]-'0')
		scale /= 10
		i++
	}
	return nanos * scale, s[i:], i > 1
}

// zone reads "Z" or "+hh:mm" and returns seconds east of UTC.
func zone(s string) (int64, bool) {
	if s == "Z" {
		return 0, true
	}
	if len(s) != 6 || s[3] != ':' || (s[0] != '+' && s[0] != '-') {
		return 0, false
	}
	h, m := twoDigits(s[1], s[2]), twoDigits(s[4], s[5])
	if h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false
	}
	offset := int64(h*3600 + m*60)
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// twoDigits returns 0..99, or a negative number when a or b is no digit.
func twoDigits(a, b byte) int {
	if a-'0' > 9 || b-'0' > 9 {
		return -1
	}
	return int(a-'0')*10 + int(b-'0')
}

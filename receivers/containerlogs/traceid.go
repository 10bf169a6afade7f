package containerlogs

import "strings"

// hexDigit maps an ASCII hex digit to its value, all else to 255.
var hexDigit = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i := byte(0); i < 10; i++ {
		t['0'+i] = i
	}
	for i := byte(0); i < 6; i++ {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()

// findTrace looks for a W3C trace id (32 hex digits) behind a key such as
// trace_id, traceId, TraceID, traceid or trace.id, as JSON or key=value.
func findTrace(line string, id *[16]byte) bool {
	return findID(line, "race", 't', id[:])
}

// findSpan does the same for a span id (16 hex digits).
func findSpan(line string, id *[8]byte) bool {
	return findID(line, "pan", 's', id[:])
}

// findID searches the key's tail (without its first letter, which may be
// upper case) and decodes the value behind it into id. All zeros is no id.
func findID(s, tail string, first byte, id []byte) bool {
	for {
		i := strings.Index(s, tail)
		if i < 0 {
			return false
		}
		key := i > 0 && s[i-1]|0x20 == first
		s = s[i+len(tail):]
		if key && decodeID(idValue(s), id) {
			return true
		}
	}
}

// idValue returns what follows the separators behind "id", "" when s does not
// continue the key with it.
func idValue(s string) string {
	if s != "" && (s[0] == '_' || s[0] == '.' || s[0] == '-') {
		s = s[1:]
	}
	if len(s) < 3 || s[0]|0x20 != 'i' || s[1]|0x20 != 'd' {
		return ""
	}
	const maxSeparators = 8 // \":\ \" of JSON in JSON, and some space
	for i := 2; i < len(s) && i < 2+maxSeparators; i++ {
		switch s[i] {
		case '"', '\'', '\\', ':', '=', ' ':
		default:
			if i == 2 {
				return ""
			}
			return s[i:]
		}
	}
	return ""
}

// decodeID reads exactly 2*len(id) hex digits, no more may follow.
func decodeID(s string, id []byte) bool {
	n := 2 * len(id)
	if len(s) < n || (len(s) > n && hexDigit[s[n]] < 16) {
		return false
	}
	var any, bad byte
	for i := range id {
		hi, lo := hexDigit[s[2*i]], hexDigit[s[2*i+1]]
		bad |= hi | lo
		id[i] = hi<<4 | lo
		any |= id[i]
	}
	if bad > 15 || any == 0 {
		clear(id)
		return false
	}
	return true
}

package containerlogs

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/plog"
)

func TestParseLine(t *testing.T) {
	at := time.Date(2026, 11, 23, 4, 57, 52, 786977262, time.UTC).UnixNano()
	f := func(line string, want piece, wantFault fault) {
		t.Helper()
		var c clock
		got, fault := c.parseLine(line)
		if fault != wantFault {
			t.Errorf("%q: fault %q, want %q", line, fault, wantFault)
		}
		if fault == "" && got != want {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
	f(stamp+" stdout F hello world", piece{at, stdout, false, "hello world"}, "")
	f(stamp+" stderr P ", piece{at, stderr, true, ""}, "")
	f(stamp+" stderr F", piece{at, stderr, false, ""}, "")
	f(stamp+" stderr P:a:b x", piece{at, stderr, true, "x"}, "")
	f("2026-11-23T06:57:52.786977262+02:00 stdout F x", piece{at, stdout, false, "x"}, "")
	f("2026-11-22T23:27:52.786977262-05:30 stdout F x", piece{at, stdout, false, "x"}, "")
	f("2026-11-23T04:57:52Z stdout F x", piece{at / 1e9 * 1e9, stdout, false, "x"}, "")
	f("2026-02-31T04:57:52Z stdout F x", piece{}, faultTimestamp)
	f("2026-11-23T04:57:52.7869772621Z stdout F x", piece{}, faultTimestamp)
	f("2026-11-23T04:57:52.Z stdout F x", piece{}, faultTimestamp)
	f("1969-12-31T23:59:59Z stdout F x", piece{}, faultTimestamp)
	f("", piece{}, faultTimestamp)
	f(stamp+" stdin F x", piece{}, faultStream)
	f(stamp+" stdout", piece{}, faultStream)
	f(stamp+" stdout  ", piece{}, faultTag)
	f(stamp+" stdout Fx y", piece{}, faultTag)

	f(`{"log":"hello\n","stream":"stdout","time":"`+stamp+`"}`, piece{at, stdout, false, "hello"}, "")
	f(`{"log":"half","stream":"stderr","attrs":{"a":"}\"","b":[1,{}]},"time":"`+stamp+`"}`, piece{at, stderr, true, "half"}, "")
	f(`{ "time" : "`+stamp+`" , "stream" : "stdout" , "log" : "a\tb\u003c\ud83d\ude00\\n\n" }`, piece{at, stdout, false, "a\tb<😀\\n"}, "")
	f(`{"log":"\ud83d lone\n","stream":"stdout","time":"`+stamp+`"}`, piece{at, stdout, false, "\uFFFD lone"}, "")
	f(`{"log":"ends in backslash \\","stream":"stdout","time":"`+stamp+`"}`, piece{at, stdout, true, `ends in backslash \`}, "")
	f(`{"log":"x\n","stream":"stdout"}`, piece{}, faultTimestamp)
	f(`{"log":"x\n","time":"`+stamp+`"}`, piece{}, faultStream)
	f(`{"stream":"stdout","time":"`+stamp+`"}`, piece{}, faultJSON)
	f(`{"log":"\q","stream":"stdout","time":"`+stamp+`"}`, piece{}, faultJSON)
	f(`{"log":"x`, piece{}, faultJSON)
	f(`{"log":1,"stream":"stdout","time":"`+stamp+`"}`, piece{}, faultJSON)
}

func TestTraceContext(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	f := func(line, wantTrace, wantSpan string) {
		t.Helper()
		lr := plog.NewLogRecord()
		setTrace(lr, line)
		if got := lr.TraceID().String(); got != wantTrace {
			t.Errorf("%s: trace id %q, want %q", line, got, wantTrace)
		}
		if got := lr.SpanID().String(); got != wantSpan {
			t.Errorf("%s: span id %q, want %q", line, got, wantSpan)
		}
	}
	f(`{"trace_id":"`+trace+`","span_id":"`+span+`"}`, trace, span)
	f(`{"TraceId": "`+strings.ToUpper(trace)+`", "SpanId": "`+span+`"}`, trace, span)
	f(`level=info traceID=`+trace+` msg="a trace"`, trace, "")
	f(`stack trace of race, trace.id='`+trace+`'`, trace, "")
	f(`{"msg":"{\"traceid\":\"`+trace+`\"}"}`, trace, "")
	f(`trace_id=`+trace+`0`, "", "")
	f(`trace_id=`+trace[:31]+`g`, "", "")
	f(`trace_id=00000000000000000000000000000000`, "", "")
	f(`trace_identity `+trace, "", "")
	f(`embrace_id=`+trace, "", "")
	f(`race trace_id=`, "", "")
}

// TestCaptures reads every captured file and compares with a slow reading of
// the same lines.
func TestCaptures(t *testing.T) {
	total := 0
	for _, path := range captures(t) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r := lineReader{maxBytes: maxLineBytes, state: &lineState{}, records: plog.NewLogRecordSlice()}
		if used := r.read(b, position{}, false); used != len(b) {
			t.Errorf("%s: used %d of %d bytes", path, used, len(b))
		}
		var got []string
		for _, lr := range r.records.All() {
			stream, _ := lr.Attributes().Get(attrStream)
			got = append(got, lr.Timestamp().AsTime().Format(time.RFC3339Nano)+" "+stream.Str()+" "+lr.Body().Str())
		}
		if diff := cmp.Diff(readSlowly(t, b), got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		total += len(got)
	}
	if total < 200 {
		t.Errorf("captures hold %d lines, expected 200 and more", total)
	}
}

func captures(t testing.TB) []string {
	var paths []string
	err := filepath.WalkDir("testdata/pods", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) == 0 {
		t.Fatalf("captures: %d files, %v", len(paths), err)
	}
	return paths
}

func readSlowly(t *testing.T, b []byte) []string {
	var out []string
	started, text := map[string]string{}, map[string]string{}
	for _, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		f := strings.SplitN(line, " ", 4)
		at, err := time.Parse(time.RFC3339Nano, f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := started[f[1]]; !ok {
			started[f[1]] = at.UTC().Format(time.RFC3339Nano)
		}
		text[f[1]] += f[3]
		if f[2] == "F" {
			out = append(out, started[f[1]]+" "+f[1]+" "+text[f[1]])
			delete(started, f[1])
			delete(text, f[1])
		}
	}
	return out
}

func TestParsePath(t *testing.T) {
	if _, _, _, ok := parsePodDir("a_b"); ok {
		t.Error("two parts are no pod directory")
	}
	if _, _, _, ok := parsePodDir("a_b_c_d"); ok {
		t.Error("four parts are no pod directory")
	}
	for _, name := range []string{"", "0", ".log", "x.log", "00.log", "-1.log", "0.log.", "0.log.tmp", "0.log.20261123-045752.tmp", "0.logx", "99999999999999999999.log"} {
		if n, ok := parseLogName(name); ok {
			t.Errorf("%q is parsed as %v", name, n)
		}
	}
	for _, name := range []string{"0.log", "12.log.20261123-045752", "0.log.20261123-045752.gz"} {
		if n, ok := parseLogName(name); !ok || n.String() != name {
			t.Errorf("%q is parsed as %q, %v", name, n, ok)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	for _, path := range captures(f) {
		if b, err := os.ReadFile(path); err == nil {
			for i, line := range strings.SplitN(string(b), "\n", 6) {
				if i < 5 {
					f.Add(line)
				}
			}
		}
	}
	f.Add(`{"log":"a\u003c\n","stream":"stderr","time":"` + stamp + `"}`)
	f.Fuzz(func(t *testing.T, line string) {
		var c clock
		p, fault := c.parseLine(line)
		if fault != "" {
			return
		}
		if p.unixNano < 0 || p.stream > stderr || len(p.content) > len(line)+2 {
			t.Errorf("%q: %+v", line, p)
		}
		if line[0] != '{' {
			if at, err := time.Parse(time.RFC3339Nano, line[:strings.IndexByte(line, ' ')]); err == nil && at.UnixNano() != p.unixNano {
				t.Errorf("%q: time %d, want %d", line, p.unixNano, at.UnixNano())
			}
			return
		}
		var want struct{ Log, Stream string }
		if utf8.ValidString(line) && json.Unmarshal([]byte(line), &want) == nil && strings.Count(line, `"log"`) == 1 {
			if got := p.content; got != strings.TrimSuffix(want.Log, "\n") && strings.Count(strings.ToLower(line), "log") == 1 {
				t.Errorf("%q: content %q, want %q", line, got, want.Log)
			}
		}
	})
}

// FuzzRead cuts a file into chunks at any place; what comes out must not
// depend on it, and must be text.
func FuzzRead(f *testing.F) {
	f.Add([]byte(cri("P", "a")+cri("F", "b")+"\x00garbage\n"+cri("F", strings.Repeat("z", 3000))), 100)
	f.Add([]byte(cri("F", "é\xff")+"tail"), 7)
	f.Fuzz(func(t *testing.T, file []byte, size int) {
		const limit = 64
		size = limit + 128 + max(size, -size)%4096
		whole, chunked := readInChunks(file, len(file)+limit+128, limit), readInChunks(file, size, limit)
		if bytes.Contains(file, []byte("{")) {
			whole = chunked // a long Docker line is malformed when cut
		}
		for _, b := range chunked {
			if len(b) > limit || !utf8.ValidString(b) {
				t.Errorf("body %q", b)
			}
		}
		slices.Sort(whole) // order is kept within a stream, not between them
		slices.Sort(chunked)
		if diff := cmp.Diff(whole, chunked); diff != "" {
			t.Error(diff)
		}
	})
}

func readInChunks(file []byte, size, limit int) []string {
	r := lineReader{maxBytes: limit, state: &lineState{}, records: plog.NewLogRecordSlice()}
	at := 0
	for at < len(file) {
		chunk := file[at:min(at+size, len(file))]
		used := r.read(chunk, position{0, int64(at)}, len(chunk) == size)
		if at += used; used == 0 {
			r.unterminated(chunk, position{0, int64(at)})
			break
		}
	}
	r.flushAll()
	var out []string
	for _, lr := range r.records.All() {
		out = append(out, lr.Body().Str())
	}
	return out
}

func FuzzDecodeOffsets(f *testing.F) {
	f.Add(encodeOffsets(nil, []entry{{path: "a_b_c/d/0.log", device: 1, inode: 2, fingerprint: fingerprint{3, 4}, offset: 5, done: true}}))
	f.Add(encodeOffsets(nil, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := decodeOffsets(b)
		if err != nil {
			return
		}
		again, err := decodeOffsets(encodeOffsets(nil, entries))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(entries, again, cmp.AllowUnexported(entry{}, fingerprint{})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDecodeOffsetsNamesTheFault(t *testing.T) {
	good := encodeOffsets(nil, []entry{{path: "a b\n_c", offset: 7}, {path: "x"}})
	if _, err := decodeOffsets(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := decodeOffsets(bad); err == nil {
			t.Errorf("byte %d altered: accepted", i)
		}
		if _, err := decodeOffsets(good[:i]); err == nil {
			t.Errorf("cut to %d bytes: accepted", i)
		}
	}
}

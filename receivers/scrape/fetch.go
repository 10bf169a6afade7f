package scrape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/common/model"
)

// accept is the header that Prometheus v3 sends with and without native
// histograms, so that pages come with the names they have there.
func accept(native bool, escaping string) string {
	if escaping == "" {
		escaping = model.AllowUTF8
	}
	text := "application/openmetrics-text;version=1.0.0;escaping=" + escaping + ";q=0.6," +
		"application/openmetrics-text;version=0.0.1;q=0.5," +
		"text/plain;version=1.0.0;escaping=" + escaping + ";q=0.4," +
		"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
	if native {
		return "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," + text
	}
	return text
}

// maxRedirects is the number that Prometheus follows.
const maxRedirects = 10

// fetched is a page as it came; close returns its memory.
type fetched struct {
	body        []byte
	contentType string
	taken       int64
	memory      *budget
}

func (f *fetched) close() {
	f.memory.give(f.taken)
	f.body, f.taken = nil, 0
}

// request is what is asked for.
type request struct {
	url      string
	accept   string
	timeout  time.Duration
	maxBytes int
}

// fetch gets a page within the bounds of the request and of the memory that
// all targets share. The caller closes it, also after an error.
func fetch(ctx context.Context, client *http.Client, r request, memory *budget) (*fetched, error) {
	f := &fetched{memory: memory}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return f, &failure{outcomeConnect, fmt.Errorf("make request: %w", err), "check address and path"}
	}
	asked.Header.Set("Accept", r.accept)
	asked.Header.Set("Accept-Encoding", "gzip")
	asked.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(r.timeout.Seconds(), 'f', -1, 64))
	response, err := client.Do(asked)
	if err != nil {
		return f, requestFailure(err, r.timeout)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, response.Body, 4<<10) // so that the connection can be used again
		return f, statusFailure(response.StatusCode, response.Status)
	}
	f.contentType = response.Header.Get("Content-Type")
	return f, f.read(response, r)
}

// read gets the body, unpacked.
func (f *fetched) read(response *http.Response, r request) error {
	var source io.Reader = response.Body
	switch encoding := response.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unpacker, err := gzip.NewReader(io.LimitReader(response.Body, int64(r.maxBytes)))
		if err != nil {
			return requestFailure(fmt.Errorf("unpack gzip: %w", err), r.timeout)
		}
		source = unpacker
	default:
		return &failure{outcomeContent, fmt.Errorf("answered with Content-Encoding %q, which was not asked for", encoding), ""}
	}
	return f.fill(source, r)
}

const firstBytes = 16 << 10

func (f *fetched) fill(source io.Reader, r request) error {
	for {
		if err := f.reserve(r); err != nil {
			return err
		}
		n, err := source.Read(f.body[len(f.body):cap(f.body)])
		f.body = f.body[:len(f.body)+n]
		switch {
		case len(f.body) > r.maxBytes:
			return &failure{outcomeBodyLimit, fmt.Errorf("page is larger than the limit (%d bytes)", r.maxBytes), "find what fills the page, or raise the limit"}
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return requestFailure(fmt.Errorf("read page: %w", err), r.timeout)
		}
	}
}

// reserve makes room in the body, doubled each time, if there is memory.
func (f *fetched) reserve(r request) error {
	if len(f.body) < cap(f.body) {
		return nil
	}
	more := min(max(cap(f.body), firstBytes), r.maxBytes+1-cap(f.body)+firstBytes)
	if !f.memory.take(int64(more)) {
		return &failure{outcomeMemory, fmt.Errorf("pages in flight take more than %d bytes", f.memory.limit),
			"other targets' pages are large or slow to come; lower their limits"}
	}
	f.taken += int64(more)
	f.body = slices.Grow(f.body, more)
	return nil
}

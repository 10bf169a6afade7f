package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/klauspost/compress/gzip"
)

// accept is what Prometheus v3 sends by default, so that the page comes with
// the names it has there.
const accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
	"application/openmetrics-text;version=0.0.1;q=0.5," +
	"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
	"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"

// acceptProtobuf is what Prometheus sends when it wants native histograms.
const acceptProtobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," + accept

// acceptEncoding prefers a page as it is: the kubelet is on the same node, where
// packing and unpacking 6 MB costs more of both CPUs' time than sending it.
const acceptEncoding = "identity;q=1.0, gzip;q=0.5"

// maxTokenBytes bounds the token file; a service account's token has about 1 KiB.
const maxTokenBytes = 64 << 10

// fetcher gets one page over and over into the same buffer.
type fetcher struct {
	url       string
	client    *http.Client
	tokenFile string
	timeout   time.Duration
	maxBytes  int
	protobuf  bool // ask for protobuf first

	buffer   []byte
	unpacker *gzip.Reader
}

// fetch gets the page; it is valid until the next call.
func (f *fetcher) fetch(ctx context.Context) (body []byte, in format, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	request, err := f.request(ctx)
	if err != nil {
		return nil, formatText, err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, formatText, requestFailure(err, f.timeout)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 256))
		return nil, formatText, statusFailure(response.StatusCode, response.Status, string(bytes.TrimSpace(said)))
	}
	if in, err = formatOf(response.Header.Get("Content-Type")); err != nil {
		return nil, formatText, err
	}
	body, err = f.read(response)
	return body, in, err
}

func (f *fetcher) request(ctx context.Context) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, &failure{outcomeConnect, err, "check endpoint and paths"}
	}
	request.Header.Set("Accept", accept)
	if f.protobuf {
		request.Header.Set("Accept", acceptProtobuf)
	}
	request.Header.Set("Accept-Encoding", acceptEncoding)
	if f.tokenFile == "" {
		return request, nil
	}
	token, err := readToken(f.tokenFile)
	if err != nil {
		return nil, &failure{outcomeToken, err, "check token_file and that the service account's token is mounted (automountServiceAccountToken)"}
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return request, nil
}

// readToken reads the file each time: Kubernetes replaces it before the token
// in it expires, and a kilobyte per scrape costs less than a cache's staleness.
func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	defer file.Close()
	token, err := io.ReadAll(io.LimitReader(file, maxTokenBytes+1))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token = bytes.TrimSpace(token)
	if len(token) == 0 || len(token) > maxTokenBytes || bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("read token: %s holds no token", path)
	}
	return string(token), nil
}

// format is how a page is written.
type format uint8

const (
	formatText format = iota // as the kubelet's pages are
	formatOpenMetrics
	formatProtobuf
)

// formatOf gives a page's format by its content type.
func formatOf(contentType string) (format, error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		err = fmt.Errorf("answered with Content-Type %q: %w", contentType, err)
	case media == "application/openmetrics-text":
		return formatOpenMetrics, nil
	case media == "text/plain":
		return formatText, nil
	case media == "application/vnd.google.protobuf" && parameters["encoding"] == "delimited":
		return formatProtobuf, nil
	default:
		err = fmt.Errorf("answered with Content-Type %q", contentType)
	}
	return formatText, &failure{outcomeContent, err, "that is no metrics page; check that endpoint is the kubelet's"}
}

// read gets the body, unpacked, into the buffer.
func (f *fetcher) read(response *http.Response) ([]byte, error) {
	if response.ContentLength > int64(f.maxBytes) {
		return nil, f.tooLarge(fmt.Sprintf("%d bytes announced", response.ContentLength))
	}
	var source io.Reader = response.Body
	switch encoding := response.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		f.reserve(int(max(response.ContentLength, 0)))
	case "gzip":
		if err := f.unpack(io.LimitReader(response.Body, int64(f.maxBytes))); err != nil {
			return nil, f.readFailure(err)
		}
		source = f.unpacker
	default:
		return nil, &failure{outcomeContent, fmt.Errorf("answered with Content-Encoding %q, which was not asked for", encoding), ""}
	}
	return f.fill(source)
}

func (f *fetcher) unpack(packed io.Reader) (err error) {
	if f.unpacker == nil {
		f.unpacker, err = gzip.NewReader(packed)
	} else {
		err = f.unpacker.Reset(packed)
	}
	if err != nil {
		return fmt.Errorf("unpack gzip: %w", err)
	}
	return nil
}

// slack is room in the buffer past the page: for the reader to see the end,
// and for the newline that the parser adds.
const slack = 512

// reserve empties the buffer and makes room for n bytes. A buffer much larger
// than that, left from one huge answer, is let go.
func (f *fetcher) reserve(n int) {
	if n > 0 && cap(f.buffer) > 4*n+1<<20 {
		f.buffer = nil
	}
	f.buffer = slices.Grow(f.buffer[:0], n+slack)
}

func (f *fetcher) fill(source io.Reader) ([]byte, error) {
	buffer := f.buffer[:0]
	for {
		buffer = slices.Grow(buffer, slack)
		n, err := source.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		f.buffer = buffer
		switch {
		case len(buffer) > f.maxBytes:
			f.buffer = nil
			return nil, f.tooLarge("more came")
		case errors.Is(err, io.EOF):
			return slices.Grow(buffer, 2), nil
		case err != nil:
			return nil, f.readFailure(err)
		}
	}
}

func (f *fetcher) tooLarge(what string) error {
	return &failure{outcomeTooLarge, fmt.Errorf("page is larger than max_body_bytes (%d): %s", f.maxBytes, what),
		"find what fills the page, or raise max_body_bytes"}
}

func (f *fetcher) readFailure(err error) error {
	return requestFailure(fmt.Errorf("read page: %w", err), f.timeout)
}

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

// fetcher gets one page over and over through the same buffer.
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

// reader takes a page in parts. It gives how many bytes of a part it used: the
// others come again in front of the next part. last says that there is none.
type reader func(part []byte, in format, last bool) (used int, err error)

// fetch gets the page and has it read. A part is valid during the call.
func (f *fetcher) fetch(ctx context.Context, read reader) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	request, err := f.request(ctx)
	if err != nil {
		return err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return requestFailure(err, f.timeout)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 256))
		return statusFailure(response.StatusCode, response.Status, string(bytes.TrimSpace(said)))
	}
	in, err := formatOf(response.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	source, err := f.body(response)
	if err != nil {
		return err
	}
	return f.pass(source, in, read)
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

// body gives the body, unpacked.
func (f *fetcher) body(response *http.Response) (io.Reader, error) {
	if response.ContentLength > int64(f.maxBytes) {
		return nil, f.tooLarge(fmt.Sprintf("%d bytes announced", response.ContentLength))
	}
	switch encoding := response.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return response.Body, nil
	case "gzip":
		if err := f.unpack(io.LimitReader(response.Body, int64(f.maxBytes))); err != nil {
			return nil, f.readFailure(err)
		}
		return f.unpacker, nil
	default:
		return nil, &failure{outcomeContent, fmt.Errorf("answered with Content-Encoding %q, which was not asked for", encoding), ""}
	}
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

const (
	// partBytes is the size of the parts in which a page is read.
	partBytes = 128 << 10
	// maxKeptBytes is the largest buffer that is kept for the next scrape.
	maxKeptBytes = 1 << 20
	// slack is room in the buffer past a part: for the newline that the parser
	// adds.
	slack = 512
)

// pass has the page read part by part. The buffer grows for a reader that wants
// more at once.
func (f *fetcher) pass(source io.Reader, in format, read reader) error {
	buffer := slices.Grow(f.buffer[:0], partBytes+slack)
	defer func() {
		if f.buffer = buffer; cap(buffer) > maxKeptBytes {
			f.buffer = nil
		}
	}()
	for total := 0; ; {
		n, err := source.Read(buffer[len(buffer) : cap(buffer)-slack])
		last := errors.Is(err, io.EOF)
		buffer = buffer[:len(buffer)+n]
		switch total += n; {
		case total > f.maxBytes:
			return f.tooLarge("more came")
		case err != nil && !last:
			return f.readFailure(err)
		case !last && len(buffer) < cap(buffer)-slack:
			continue
		}
		used, err := read(buffer, in, last)
		if err != nil || last {
			return err
		}
		if used == 0 {
			buffer = slices.Grow(buffer, len(buffer)+slack)
		}
		buffer = buffer[:copy(buffer, buffer[used:])]
	}
}

func (f *fetcher) tooLarge(what string) error {
	return &failure{outcomeTooLarge, fmt.Errorf("page is larger than max_body_bytes (%d): %s", f.maxBytes, what),
		"find what fills the page, or raise max_body_bytes"}
}

func (f *fetcher) readFailure(err error) error {
	return requestFailure(fmt.Errorf("read page: %w", err), f.timeout)
}

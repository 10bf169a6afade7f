package pipeline

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
)

func TestZstdIsOurs(t *testing.T) {
	if _, ours := encoding.GetCompressor("zstd").(*zstdCompressor); !ours {
		t.Error("another package has registered a gRPC compressor for zstd after this one")
	}
	if encoding.GetCompressor(gzip.Name) == nil {
		t.Error("gzip is gone")
	}
}

// Encoders and decoders are used again by other requests, also at once.
func TestZstdRoundTrips(t *testing.T) {
	c := newZstdCompressor()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 20 {
				want := strings.Repeat("a line of a log, again and again ", i*j*20)
				if got, err := zstdRoundTrip(c, want); err != nil || got != want {
					t.Errorf("%d bytes came back as %d: %v", len(want), len(got), err)
				}
			}
		})
	}
	all.Wait()
	if len(c.encoders) == 0 || len(c.decoders) == 0 {
		t.Error("nothing was kept for the next request")
	}
}

func zstdRoundTrip(c *zstdCompressor, text string) (string, error) {
	var packed bytes.Buffer
	w, err := c.Compress(&packed)
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	r, err := c.Decompress(&packed)
	if err != nil {
		return "", err
	}
	got, err := io.ReadAll(r)
	return string(got), err
}

func TestZstdRefusesGarbageAndGoesOn(t *testing.T) {
	c := newZstdCompressor()
	if got, err := zstdRoundTrip(c, "good"); err != nil || got != "good" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, bad := range []string{"no zstd at all", "\x28\xb5\x2f\xfd\x00\x58\xff\xff\xff"} {
		r, err := c.Decompress(strings.NewReader(bad))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil {
			t.Errorf("%q is taken for zstd", bad)
		}
	}
	if got, err := zstdRoundTrip(c, "good again"); err != nil || got != "good again" {
		t.Errorf("after garbage: %q, %v", got, err)
	}
}

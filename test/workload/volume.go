package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// volumeBytes bounds what is written into a volume before it starts anew.
const volumeBytes = 16 << 20

// runVolume writes what it logs into a file of a mounted volume as well.
func runVolume(ctx context.Context, flags *flag.FlagSet, args []string) error {
	dir := flags.String("dir", "/data", "where the volume is mounted")
	rate := flags.Float64("rate", 2, "lines a second")
	flags.Parse(args)
	f, err := openBounded(filepath.Join(*dir, "lines"))
	if err != nil {
		return err
	}
	defer f.Close()
	out, err := newLines(io.MultiWriter(f, os.Stdout))
	if err != nil {
		return err
	}
	return out.writeAll(ctx, 0, *rate, 0)
}

// boundedFile has what it was given on disk when Write returns.
type boundedFile struct{ *os.File }

func openBounded(path string) (boundedFile, error) {
	// Appending, so that a write after Truncate is at the start.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	return boundedFile{f}, err
}

func (f boundedFile) Write(b []byte) (int, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size()+int64(len(b)) > volumeBytes {
		if err := f.Truncate(0); err != nil {
			return 0, err
		}
	}
	n, err := f.File.Write(b)
	if err != nil {
		return n, err
	}
	if err := f.Sync(); err != nil {
		return n, fmt.Errorf("sync %s: %w", f.Name(), err)
	}
	return n, nil
}

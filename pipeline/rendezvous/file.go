package rendezvous

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
)

// maxAddressBytes is more than an IPv6 address with zone and port takes.
const maxAddressBytes = 256

// readAddress returns the address in a file, "" if there is no file.
func readAddress(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAddressBytes))
	if err != nil {
		return "", fmt.Errorf("read address: %w", err)
	}
	address := strings.TrimSpace(string(text))
	if _, err := netip.ParseAddrPort(address); err != nil {
		return "", fmt.Errorf("parse address: %w", err)
	}
	return address, nil
}

// writeAddress replaces the file whole. It is not synced: after a loss of power
// the next connection finds a server without it.
func writeAddress(path, address string) error {
	next := path + ".next"
	if err := os.WriteFile(next, []byte(address+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

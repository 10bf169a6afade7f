package containerlogs

import "github.com/cespare/xxhash/v2"

// fingerprintBytes is how much of a file's beginning tells it from every other
// file of the same container: its first line carries a time in nanoseconds.
const fingerprintBytes = 512

// fingerprint is a hash of a file's first bytes. Logs are only appended to, so
// it stays true while the file grows; it is renewed over more bytes until it
// covers fingerprintBytes. The zero value is that of an empty file.
type fingerprint struct {
	bytes int
	hash  uint64
}

// fingerprintOf hashes the beginning of prefix.
func fingerprintOf(prefix []byte) fingerprint {
	n := min(len(prefix), fingerprintBytes)
	if n == 0 {
		return fingerprint{}
	}
	return fingerprint{bytes: n, hash: xxhash.Sum64(prefix[:n])}
}

// matches says whether a file that begins with prefix can be the one that f
// was taken of.
func (f fingerprint) matches(prefix []byte) bool {
	return len(prefix) >= f.bytes && fingerprintOf(prefix[:f.bytes]) == f
}

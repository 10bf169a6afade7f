package containerlogs

import (
	"cmp"
	"path"
	"strconv"
	"strings"
)

// identity is what the path of a container's log says:
// <namespace>_<pod>_<uid>/<container>/<restart>.log
type identity struct {
	namespace, pod, uid, container string
	restart                        int
}

// parsePodDir splits "<namespace>_<pod>_<uid>". None of the three may contain
// an underscore (DNS labels; a static pod's uid is a hash).
func parsePodDir(name string) (namespace, pod, uid string, ok bool) {
	namespace, rest, ok1 := strings.Cut(name, "_")
	pod, uid, ok2 := strings.Cut(rest, "_")
	ok = ok1 && ok2 && namespace != "" && pod != "" && uid != "" && !strings.Contains(uid, "_")
	return namespace, pod, uid, ok
}

// logName is the name of a log file in a container's directory:
// "0.log", kubelet's rotated "0.log.20060102-150405" and, compressed,
// "0.log.20060102-150405.gz".
type logName struct {
	restart  int
	rotation string // "" for the file being written
	gzip     bool
}

// parseLogName refuses kubelet's temporary files and all that is not a log.
func parseLogName(name string) (logName, bool) {
	digits, rest, ok := strings.Cut(name, ".log")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || strconv.Itoa(n) != digits {
		return logName{}, false
	}
	if rest == "" {
		return logName{restart: n}, true
	}
	rest, gz := strings.CutSuffix(rest, ".gz")
	if len(rest) < 2 || rest[0] != '.' || strings.HasSuffix(rest, ".tmp") {
		return logName{}, false
	}
	return logName{restart: n, rotation: rest[1:], gzip: gz}, true
}

func (n logName) String() string {
	s := strconv.Itoa(n.restart) + ".log"
	if n.rotation != "" {
		s += "." + n.rotation
	}
	if n.gzip {
		s += ".gz"
	}
	return s
}

// compareLogNames orders by age, oldest first. Of a file and its compressed
// copy, which exist both while kubelet compresses, the plain one comes first.
func compareLogNames(a, b logName) int {
	if a.rotation == "" || b.rotation == "" {
		return cmp.Compare(len(b.rotation), len(a.rotation))
	}
	if c := strings.Compare(a.rotation, b.rotation); c != 0 {
		return c
	}
	switch {
	case a.gzip == b.gzip:
		return 0
	case b.gzip:
		return -1
	}
	return 1
}

// tailKey names a container instance's log from the path of one of its files,
// relative to the root: "<pod dir>/<container>/<restart>".
func tailKey(rel string) (string, logName, bool) {
	dir, base := path.Split(rel)
	n, ok := parseLogName(base)
	return dir + strconv.Itoa(n.restart), n, ok
}

// excluded says whether one of the patterns matches namespace/pod/container.
func excluded(patterns []string, id identity) bool {
	name := id.namespace + "/" + id.pod + "/" + id.container
	for _, p := range patterns {
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}

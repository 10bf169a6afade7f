package statuspage

import (
	"fmt"
	"net/url"
	"strings"
)

// filter is which lines somebody wants to see; an empty field takes all.
type filter struct {
	namespace, pod, container string
	severity                  severity // and above; unknown takes all
	text                      string   // in lower case unless exact
	exact                     bool     // the text has capitals: they count
}

const maxFilterBytes = 256

// parseFilter reads a query. A pod is taken by its name or the beginning of it,
// so that "frontend" takes all of a workload.
func parseFilter(q url.Values) (filter, error) {
	for _, key := range []string{"namespace", "pod", "container", "severity", "text"} {
		if len(q.Get(key)) > maxFilterBytes {
			return filter{}, fmt.Errorf("%s: over %d bytes", key, maxFilterBytes)
		}
	}
	level, ok := parseSeverity(q.Get("severity"))
	if !ok {
		return filter{}, fmt.Errorf("severity: %q is none of trace, debug, info, warn, error, fatal", q.Get("severity"))
	}
	f := filter{namespace: q.Get("namespace"), pod: q.Get("pod"), container: q.Get("container"), severity: level, text: q.Get("text")}
	f.exact = strings.ToLower(f.text) != f.text
	return f, nil
}

func (f *filter) takesSource(s source) bool {
	return (f.namespace == "" || f.namespace == s.namespace) &&
		strings.HasPrefix(s.pod, f.pod) &&
		(f.container == "" || f.container == s.container)
}

func (f *filter) takesText(body string) bool {
	if f.exact {
		return strings.Contains(body, f.text)
	}
	return containsFold(body, f.text)
}

// containsFold is strings.Contains for a needle in lower case, taking ASCII
// capitals for small letters, without a copy.
func containsFold(body, needle string) bool {
	for i := 0; i+len(needle) <= len(body); i++ {
		j := 0
		for j < len(needle) && lower(body[i+j]) == needle[j] {
			j++
		}
		if j == len(needle) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

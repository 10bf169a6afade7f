package nodesim

import (
	"bytes"
	"embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// captures are pages of a real kubelet, v1.37.2.
//
//go:embed testdata/metrics-cadvisor.txt testdata/metrics-resource.txt testdata/metrics-probes.txt testdata/metrics.txt
var captures embed.FS

// The captured pod whose rows are the pattern for every simulated pod: one
// container, with limits and probes.
const (
	patternPod       = "web-7c58db8d8d-kd9cs"
	patternUID       = "540f5235-a1f0-4a99-a26f-06be737bf0ce"
	patternContainer = "web"
)

// page is a captured page, cut into what is the node's and what is a pod's.
type page []family

type family struct {
	header  []byte // HELP and TYPE lines
	counter bool   // values grow
	node    []sample
	pod     []sample // of the pattern pod itself
	each    []sample // of the pattern container
}

// sample is a line: name{labels} value timestamp.
type sample struct {
	name, labels string
	value        float64
	stamped      bool // has a timestamp
}

func loadPages() (map[string]page, error) {
	pages := map[string]page{}
	for path, file := range map[string]string{
		"/metrics": "metrics.txt", "/metrics/cadvisor": "metrics-cadvisor.txt",
		"/metrics/resource": "metrics-resource.txt", "/metrics/probes": "metrics-probes.txt",
	} {
		text, err := captures.ReadFile("testdata/" + file)
		if err != nil {
			return nil, err
		}
		if pages[path], err = parsePage(text); err != nil {
			return nil, fmt.Errorf("parse captured %s: %w", file, err)
		}
	}
	return pages, nil
}

var sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)( \d+)?$`)

func parsePage(text []byte) (page, error) {
	var p page
	for l := range bytes.Lines(text) {
		if bytes.HasPrefix(l, []byte("# HELP ")) || len(p) == 0 {
			p = append(p, family{})
		}
		f := &p[len(p)-1]
		if l[0] == '#' {
			f.header = append(f.header, l...)
			// Buckets, sums and counts grow like counters.
			if t := bytes.TrimSpace(l); bytes.HasSuffix(t, []byte(" counter")) || bytes.HasSuffix(t, []byte(" histogram")) {
				f.counter = bytes.HasPrefix(l, []byte("# TYPE "))
			}
			continue
		}
		m := sampleLine.FindSubmatch(bytes.TrimRight(l, "\n"))
		if m == nil {
			return nil, fmt.Errorf("not a sample: %q", l)
		}
		value, err := strconv.ParseFloat(string(m[3]), 64)
		if err != nil {
			return nil, err
		}
		f.add(sample{name: string(m[1]), labels: string(m[2]), value: value, stamped: len(m[4]) > 0})
	}
	return p, nil
}

// add sorts a sample to the node, the pattern pod or its container; rows of
// other pods are not needed.
func (f *family) add(s sample) {
	switch {
	case !strings.Contains(s.labels, `pod="`) || strings.Contains(s.labels, `pod=""`):
		f.node = append(f.node, s)
	case !strings.Contains(s.labels, `pod="`+patternPod+`"`):
	case strings.Contains(s.labels, `container="`+patternContainer+`"`):
		f.each = append(f.each, s)
	default:
		f.pod = append(f.pod, s)
	}
}

// housekeeping is how often cAdvisor measures a container; between two of them a
// page repeats value and timestamp.
const housekeeping = 10 * time.Second

// render writes the page as it is now.
func (p page) render(n *Node, now time.Time) []byte {
	var b bytes.Buffer
	for i := range p {
		f := &p[i]
		b.Write(f.header)
		for _, s := range f.node {
			f.write(&b, s, s.labels, n.start, measured(now, s.stamped, 0))
		}
		for phase, pod := range n.pods {
			if pod.Done {
				continue
			}
			at := measured(now, true, phase)
			for _, s := range f.pod {
				f.write(&b, s, pod.rewrite(s.labels, nil), n.start, at)
			}
			for _, s := range f.each {
				for _, c := range pod.Containers {
					f.write(&b, s, pod.rewrite(s.labels, c), n.start, at)
				}
			}
		}
	}
	return b.Bytes()
}

// measured is the latest housekeeping before now; containers take turns.
func measured(now time.Time, stamped bool, phase int) time.Time {
	if !stamped {
		return now
	}
	shift := time.Duration(phase*731) * time.Millisecond % housekeeping
	return now.Add(-shift).Truncate(housekeeping).Add(shift)
}

func (f *family) write(b *bytes.Buffer, s sample, labels string, start, at time.Time) {
	b.WriteString(s.name)
	b.WriteString(labels)
	b.WriteByte(' ')
	value := s.value
	if f.counter {
		// A steady rate; whole numbers stay whole.
		grown := s.value * max(0, at.Sub(start).Seconds()) / 60
		if s.value == float64(int64(s.value)) {
			grown = float64(int64(grown))
		}
		value += grown
	}
	b.WriteString(strconv.FormatFloat(value, 'g', -1, 64))
	if s.stamped {
		b.WriteByte(' ')
		b.WriteString(strconv.FormatInt(at.UnixMilli(), 10))
	}
	b.WriteByte('\n')
}

var (
	idLabel   = regexp.MustCompile(`id="/kubepods/burstable/pod[^"/]*(/[^"]*)?"`)
	nameLabel = regexp.MustCompile(`name="[0-9a-f]{64}"`)
)

// rewrite puts a simulated pod's identity in place of the pattern's. Without
// container it is the pod's cgroup or its sandbox, as the row was.
func (p *Pod) rewrite(labels string, c *Container) string {
	id := p.sandboxID
	if c != nil {
		id, _ = c.log.identity()
	}
	labels = idLabel.ReplaceAllStringFunc(labels, func(old string) string {
		path := "/kubepods/" + strings.ToLower(string(p.qos())) + "/pod" + p.UID
		if strings.Count(old, "/") > 3 {
			path += "/" + id
		}
		return `id="` + path + `"`
	})
	labels = nameLabel.ReplaceAllString(labels, `name="`+id+`"`)
	pairs := []string{`pod="` + patternPod + `"`, `pod="` + p.Name + `"`, patternUID, p.UID,
		`namespace="shop"`, `namespace="` + p.Namespace + `"`}
	if c != nil {
		pairs = append(pairs, `container="`+patternContainer+`"`, `container="`+c.Name+`"`,
			`image="lab.local/labtool:1"`, `image="`+c.Image+`"`)
	}
	return strings.NewReplacer(pairs...).Replace(labels)
}

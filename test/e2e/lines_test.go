//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/crowsnest-o11y/crowsnest/test/nodesim"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// labels are those of a stream of the workload, and no others.
var labels = []string{"cluster", "container", "namespace", "node", "pod", "service_name", "stream"}

// containerRun is one run of a container: "the second of pod x".
type containerRun struct {
	pod      string
	restarts int
}

// lines is what Loki has of the workload.
type lines struct {
	seen    *nodesim.Seen
	streams map[containerRun]map[string]bool // streams of nodesim; one of each run
	wrong   map[string]int                   // what is wrong with labels and metadata, how often
}

// checkLines waits until all that the workload wrote is there, and then looks
// for what is there twice, damaged, or under a wrong name.
func (in *installation) checkLines(t *testing.T) {
	var found lines
	eventually(t, "complete lines", func(ctx context.Context) error {
		var err error
		found, err = in.completeLines(ctx)
		return err
	})
	t.Logf("%d lines of %d container runs", found.seen.Total(), len(found.streams))
	for stream, n := range found.seen.Repeated {
		t.Errorf("%d lines of %s are there twice", n, stream)
	}
	for _, d := range found.seen.Damaged {
		t.Errorf("damaged: %s", d)
	}
	for what, n := range found.wrong {
		t.Errorf("%d lines: %s", n, what)
	}
	for run, streams := range found.streams {
		if len(streams) != 1 {
			t.Errorf("run %d of %s has the streams %v", run.restarts, run.pod, streams)
		}
	}
}

// completeLines is an error as long as a line is missing that was written before
// the call.
func (in *installation) completeLines(ctx context.Context) (lines, error) {
	pods, err := in.pods(ctx, shop, "")
	if err != nil {
		return lines{}, err
	}
	written, err := in.logEnds(ctx, pods)
	if err != nil {
		return lines{}, err
	}
	found, err := in.readLines(ctx, pods)
	if err != nil {
		return lines{}, err
	}
	return found, errors.Join(found.lackOfRuns(pods), found.lackOfLines(written))
}

// logEnds tells, by stream, a number up to which lines were written: what stands
// at the end of the last two logs of each container, and stood in those of pods
// that are gone.
func (in *installation) logEnds(ctx context.Context, pods []corev1.Pod) (map[string]uint64, error) {
	written := maps.Clone(in.written)
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			for _, previous := range []bool{false, true} {
				if previous && c.LastTerminationState.Terminated == nil || c.ContainerID == "" {
					continue
				}
				// Of a very long line this may be the last piece.
				text, err := in.get(ctx, "/api/v1/namespaces/"+p.Namespace+"/pods/"+p.Name+"/log",
					url.Values{"container": {c.Name}, "previous": {strconv.FormatBool(previous)}, "tailLines": {"5"}})
				if err != nil {
					return nil, err
				}
				maps.Copy(written, lastLines(text))
			}
		}
	}
	return written, nil
}

// lastLines is the number of the last line of each stream in a log.
func lastLines(log []byte) map[string]uint64 {
	last := map[string]uint64{}
	for line := range bytes.Lines(log) {
		if stream, seq, err := nodesim.ParseLine(bytes.TrimSuffix(line, []byte("\n"))); err == nil {
			last[stream] = seq
		}
	}
	return last
}

// byName has the pods that the workload had, those that are gone, too.
func (in *installation) byName(pods []corev1.Pod) map[string]corev1.Pod {
	named := map[string]corev1.Pod{}
	for _, p := range slices.Concat(in.gone, pods) {
		named[p.Name] = p
	}
	return named
}

// readLines reads all of the workload from Loki. What its libraries complain of
// is on stderr.
func (in *installation) readLines(ctx context.Context, pods []corev1.Pod) (lines, error) {
	byName := in.byName(pods)
	l := lines{seen: nodesim.NewSeen(), streams: map[containerRun]map[string]bool{}, wrong: map[string]int{}}
	err := in.loki.Each(ctx, `{namespace="`+shop+`", stream="stdout"}`, in.start.Add(-time.Minute), time.Now().Add(time.Minute), func(e stores.Entry) error {
		l.seen.Line([]byte(e.Line))
		stream, _, err := nodesim.ParseLine([]byte(e.Line))
		if err != nil {
			return nil // counted as damaged
		}
		host := stream[:max(0, strings.LastIndex(stream, "-"))]
		for _, lack := range lackOfEntry(e, host, byName[host]) {
			l.wrong[lack]++
		}
		restarts, _ := strconv.Atoi(e.Metadata["k8s_container_restart_count"])
		run := containerRun{host, restarts}
		if l.streams[run] == nil {
			l.streams[run] = map[string]bool{}
		}
		l.streams[run][stream] = true
		return nil
	})
	return l, err
}

// lackOfEntry says what is wrong with labels and metadata of a line that a pod
// says it wrote; the pod itself is zero if it is gone.
func lackOfEntry(e stores.Entry, host string, p corev1.Pod) (wrong []string) {
	w, ok := workloadOf(host)
	if !ok {
		return []string{"from unknown pod " + host}
	}
	if got := slices.Sorted(maps.Keys(e.Labels)); !slices.Equal(got, labels) {
		wrong = append(wrong, fmt.Sprintf("%s has the labels %v", w.name, got))
	}
	want := map[string]string{
		"cluster": clusterName, "namespace": shop, "pod": host, "container": w.container, "service_name": w.name, "stream": "stdout",
	}
	metadata := map[string]string{"container_image_name": "crowsnest.test/workload", "service_namespace": shop}
	if w.owner != "" {
		metadata[w.owner] = w.name
	}
	if p.Name != "" {
		want["node"], metadata["k8s_pod_uid"] = p.Spec.NodeName, string(p.UID)
	}
	for _, set := range []struct{ want, got map[string]string }{{want, e.Labels}, {metadata, e.Metadata}} {
		for name, value := range set.want {
			if set.got[name] != value {
				wrong = append(wrong, fmt.Sprintf("%s of pod %s is %q, want %q", name, host, set.got[name], value))
			}
		}
	}
	if e.Metadata["k8s_container_restart_count"] == "" {
		wrong = append(wrong, "no restart count at pod "+host)
	}
	return wrong
}

// lackOfRuns is an error if a run of a container has not one line.
func (l lines) lackOfRuns(pods []corev1.Pod) error {
	var errs []error
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			for restarts := 0; c.ContainerID != "" && restarts <= int(c.RestartCount); restarts++ {
				if l.streams[containerRun{p.Name, restarts}] == nil {
					errs = append(errs, fmt.Errorf("no line of run %d of %s", restarts, p.Name))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// lackOfLines is an error if a line of a run is missing.
func (l lines) lackOfLines(written map[string]uint64) error {
	want := maps.Clone(written)
	for run, streams := range l.streams {
		w, _ := workloadOf(run.pod)
		for stream := range streams {
			want[stream] = max(want[stream], w.lines)
		}
	}
	var errs []error
	for stream, last := range want {
		if missing := l.seen.Missing(stream, last); len(missing) > 0 {
			errs = append(errs, fmt.Errorf("of %d lines of %s these are missing: %.500s", last, stream, fmt.Sprint(missing)))
		}
	}
	return errors.Join(errs...)
}

// newLine is an error unless Loki has a line of the workload from after a time.
func (in *installation) newLine(ctx context.Context, after time.Time) error {
	if after.IsZero() {
		after = in.start.Add(-time.Minute)
	}
	entries, err := in.loki.Query(ctx, `{cluster="`+clusterName+`"}`, after, time.Now().Add(time.Minute), 1)
	if err == nil && len(entries) == 0 {
		err = errors.New("no line")
	}
	return err
}

package scrape

import (
	"context"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// monitors are the PodMonitors and ServiceMonitors of the cluster, and for the
// latter its Services. Each agent matches them against its own node's pods.
type monitors struct {
	receiver *scrapeReceiver
	cluster  *cluster

	podMonitors     *collection[monitor, *monitor]
	serviceMonitors *collection[monitor, *monitor]
	services        *collection[service, *service]

	changes atomic.Uint64
	wake    chan struct{} // of capacity 1

	mu       sync.RWMutex // guards compiled
	compiled []*compiled
}

// service is a trimmed v1.Service.
type service struct {
	metadata `json:"metadata"`
	Spec     struct {
		Selector map[string]string `json:"selector"`
		Ports    []servicePort     `json:"ports"`
	} `json:"spec"`
}

const monitoring = "apis/monitoring.coreos.com/v1/"

func newMonitors(r *scrapeReceiver) *monitors {
	m := &monitors{receiver: r, cluster: r.cluster, wake: make(chan struct{}, 1)}
	remedy := func(what string) string {
		return "grant the agent's service account get, list and watch on " + what + ", or set monitors: false"
	}
	m.podMonitors = newCollection[monitor](r.cluster, monitoring+"podmonitors", remedy("podmonitors in monitoring.coreos.com"), m.changed)
	m.serviceMonitors = newCollection[monitor](r.cluster, monitoring+"servicemonitors", remedy("servicemonitors in monitoring.coreos.com"), m.changed)
	m.services = newCollection[service](r.cluster, "api/v1/services", remedy("services"), func() { m.changes.Add(1) })
	return m
}

func (m *monitors) changed() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// version is another one whenever targets may be.
func (m *monitors) version() uint64 {
	if m == nil {
		return 0
	}
	return m.changes.Load()
}

// secretInterval is how often credentials are read anew.
const secretInterval = time.Minute

// run watches until ctx ends. Services are watched from the first
// ServiceMonitor on.
func (m *monitors) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { m.podMonitors.run(ctx) })
	running.Go(func() { m.serviceMonitors.run(ctx) })
	ticker := time.NewTicker(secretInterval)
	defer ticker.Stop()
	watching := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		case <-ticker.C:
		}
		m.compile(ctx)
		if !watching && len(m.serviceMonitors.all()) > 0 {
			watching = true
			running.Go(func() { m.services.run(ctx) })
		}
	}
}

// compile makes all monitors ready to be matched.
func (m *monitors) compile(ctx context.Context) {
	read := m.reader(ctx)
	var all []*compiled
	for _, kind := range []struct {
		source string
		from   *collection[monitor, *monitor]
	}{{sourcePodMonitor, m.podMonitors}, {sourceServiceMonitor, m.serviceMonitors}} {
		for _, monitor := range kind.from.all() {
			c, refused := m.receiver.compile(monitor, kind.source, read)
			for _, r := range refused {
				m.receiver.refuse(r.job, r.reason, r.err, zap.String("monitor", keyOf(&monitor.metadata)))
			}
			if c != nil {
				all = append(all, c)
			}
		}
	}
	m.mu.Lock()
	m.compiled = all
	m.mu.Unlock()
	m.changes.Add(1)
}

// reader reads entries of Secrets and ConfigMaps, each object once.
func (m *monitors) reader(ctx context.Context) secrets {
	type object struct {
		values map[string]string
		err    error
	}
	known := map[string]object{}
	return func(kind, namespace string, k keySelector) (string, error) {
		path := "api/v1/namespaces/" + url.PathEscape(namespace) + "/" + kind + "/" + url.PathEscape(k.Name)
		o, ok := known[path]
		if !ok {
			o.values, o.err = m.read(ctx, path, kind == "secrets")
			known[path] = o
		}
		if o.err != nil {
			return "", o.err
		}
		value, ok := o.values[k.Key]
		if !ok {
			return "", fmt.Errorf("%s %s/%s has no key %q", strings.TrimSuffix(kind, "s"), namespace, k.Name, k.Key)
		}
		return value, nil
	}
}

func (m *monitors) read(ctx context.Context, path string, encoded bool) (map[string]string, error) {
	var o struct {
		Data map[string]string `json:"data"`
	}
	if err := m.cluster.get(ctx, path, nil, &o); hasCode(err, http.StatusForbidden) {
		return nil, fmt.Errorf("%w; grant the agent's service account get on this one if its monitor shall be followed", err)
	} else if err != nil {
		return nil, err
	}
	if !encoded {
		return o.Data, nil
	}
	for key, text := range o.Data {
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("decode %s: key %q: %w", path, key, err)
		}
		o.Data[key] = string(value)
	}
	return o.Data, nil
}

// fingerprint tells versions of secrets apart without keeping them.
type fingerprint struct{ sum uint64 }

func (f *fingerprint) add(text string) {
	hash := fnv.New64a()
	_, _ = fmt.Fprintf(hash, "%x %d %s", f.sum, len(text), text)
	f.sum = hash.Sum64()
}

func (f *fingerprint) String() string { return fmt.Sprintf("%x", f.sum) }

// targets are those of all monitors among the pods.
func (m *monitors) targets(pods []*kubemeta.Pod) []*target {
	if m == nil {
		return nil
	}
	m.mu.RLock()
	all := m.compiled
	m.mu.RUnlock()
	services := m.services.all()
	var found []*target
	for _, c := range all {
		add := func(e *compiledEndpoint, p *kubemeta.Pod, labels map[string]string) {
			t, err := newTarget(e.job, labels)
			if t != nil {
				err = t.checkReach(p.IPs[0])
			}
			switch {
			case err != nil:
				m.receiver.refuse(e.job, "address", err)
			case t != nil:
				found = append(found, t)
			}
		}
		if c.source == sourcePodMonitor {
			c.podTargets(pods, add)
		} else {
			c.serviceTargets(services, pods, add)
		}
	}
	return found
}

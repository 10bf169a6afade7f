package scrape

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
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
	vault   *vault
	// waiting: some credentials were not read, since no pod of this node needs them.
	waiting atomic.Bool

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

// bytes is about what it takes in memory.
func (s *service) bytes() int {
	n := 512 + len(s.Name) + len(s.Namespace) + len(s.UID) + len(s.ResourceVersion)
	for _, texts := range []map[string]string{s.Labels, s.Annotations, s.Spec.Selector} {
		for key, value := range texts {
			n += 64 + len(key) + len(value)
		}
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		n += 96 + len(p.Name) + len(p.Protocol) + len(p.TargetPort.StrVal)
	}
	return n
}

const monitoring = "apis/monitoring.coreos.com/v1/"

func newMonitors(r *scrapeReceiver) *monitors {
	m := &monitors{receiver: r, cluster: r.cluster, wake: make(chan struct{}, 1), vault: newVault(r.cluster)}
	remedy := func(what string) string {
		return "grant the agent's service account get, list and watch on " + what + ", or set monitors: false"
	}
	m.podMonitors = newCollection[monitor](r.cluster, monitoring+"podmonitors", remedy("podmonitors in monitoring.coreos.com"), m.changed)
	m.serviceMonitors = newCollection[monitor](r.cluster, monitoring+"servicemonitors", remedy("servicemonitors in monitoring.coreos.com"), m.changed)
	m.services = newCollection[service](r.cluster, "api/v1/services", remedy("services"), func() {
		m.changes.Add(1)
		m.moved()
	})
	return m
}

func (m *monitors) changed() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// moved is told when pods or Services are other ones: credentials that no pod
// needed may be needed now.
func (m *monitors) moved() {
	if m != nil && m.waiting.Load() {
		m.changed()
	}
}

// version is another one whenever targets may be.
func (m *monitors) version() uint64 {
	if m == nil {
		return 0
	}
	return m.changes.Load()
}

// settleTime is how long a change waits for more: an installation brings many,
// and each looks at all.
const settleTime = time.Second

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
			if !kubeapi.Pause(ctx, settleTime) {
				return
			}
		case <-ticker.C:
		}
		m.compile(ctx)
		if !watching && len(m.serviceMonitors.all()) > 0 {
			watching = true
			running.Go(func() { m.services.run(ctx) })
		}
	}
}

// errNotHere: an agent reads the credentials of its own node's targets only.
var errNotHere = errors.New("no pod of this node needs the credentials")

// compile makes all monitors ready to be matched.
func (m *monitors) compile(ctx context.Context) {
	waiting := false
	read := func(c *compiled, kind string, k keySelector) (string, error) {
		if !c.near(m.services.all(), m.receiver.cache.Pods()) {
			waiting = true
			return "", errNotHere
		}
		return m.vault.get(ctx, &c.monitor.metadata, kind, k)
	}
	var all []*compiled
	for _, kind := range []struct {
		source string
		from   *collection[monitor, *monitor]
	}{{sourcePodMonitor, m.podMonitors}, {sourceServiceMonitor, m.serviceMonitors}} {
		for _, monitor := range kind.from.all() {
			c, refused := m.receiver.compile(monitor, kind.source, read)
			for _, r := range refused {
				if errors.Is(r.err, errNotHere) {
					continue
				}
				m.receiver.refuse(r.job, r.reason, r.err, zap.String("monitor", keyOf(&monitor.metadata)))
			}
			if c != nil {
				all = append(all, c)
			}
		}
	}
	m.waiting.Store(waiting)
	m.vault.forget()
	m.mu.Lock()
	m.compiled = all
	m.mu.Unlock()
	m.changes.Add(1)
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

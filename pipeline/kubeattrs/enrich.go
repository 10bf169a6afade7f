package kubeattrs

import (
	"cmp"
	"context"
	"net/netip"
	"sync"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"

	"github.com/crowsnest-o11y/crowsnest/extensions"
	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

// signal is the kind of data an enricher sees; its value is that of a label.
type signal string

const (
	logs    signal = "logs"
	metrics signal = "metrics"
	traces  signal = "traces"
)

// maxLists bounds the attribute lists that are kept; at about 1 KiB each that
// is 1 MiB. Past it all are made anew, which costs microseconds each.
const maxLists = 1024

// enricher is the processor of one signal.
type enricher struct {
	cfg       *Config
	signal    signal
	cache     *kubemeta.Cache // nil without pods
	telemetry *telemetry
	place     []keyValue // of every resource: node and cluster

	mu    sync.RWMutex // guards lists
	lists map[subject][]keyValue
}

func newEnricher(set processor.Settings, cfg *Config, s signal) (*enricher, error) {
	t, err := newTelemetry(set.MeterProvider, set.ID.String(), s)
	if err != nil {
		return nil, err
	}
	e := &enricher{cfg: cfg, signal: s, telemetry: t, lists: map[subject][]keyValue{}}
	for _, a := range []keyValue{{nodeName, cfg.Node}, {clusterName, cfg.Cluster}} {
		if !isEmpty(a.value) {
			e.place = append(e.place, a)
		}
	}
	return e, nil
}

// start finds the pods.
func (e *enricher) start(_ context.Context, host component.Host) error {
	if e.cfg.Pods == nil {
		return nil
	}
	pods, err := extensions.Find[interface{ Cache() *kubemeta.Cache }](host, "pods", *e.cfg.Pods, "kubepods")
	if err != nil {
		return err
	}
	e.cache = pods.Cache()
	return nil
}

func (e *enricher) processLogs(ctx context.Context, ld plog.Logs) (plog.Logs, error) {
	b := e.begin(ctx)
	for i := range ld.ResourceLogs().Len() {
		b.enrich(ld.ResourceLogs().At(i).Resource().Attributes())
	}
	b.end(ctx)
	return ld, nil
}

func (e *enricher) processMetrics(ctx context.Context, md pmetric.Metrics) (pmetric.Metrics, error) {
	b := e.begin(ctx)
	for i := range md.ResourceMetrics().Len() {
		b.enrich(md.ResourceMetrics().At(i).Resource().Attributes())
	}
	b.end(ctx)
	return md, nil
}

func (e *enricher) processTraces(ctx context.Context, td ptrace.Traces) (ptrace.Traces, error) {
	b := e.begin(ctx)
	for i := range td.ResourceSpans().Len() {
		b.enrich(td.ResourceSpans().At(i).Resource().Attributes())
	}
	b.end(ctx)
	return td, nil
}

// batch is the enriching of one request.
type batch struct {
	*enricher
	sender netip.Addr
	counts [len(outcomes)]int64
}

func (e *enricher) begin(ctx context.Context) batch {
	return batch{enricher: e, sender: hostOf(client.FromContext(ctx).Addr)}
}

func (b *batch) end(ctx context.Context) { b.telemetry.count(ctx, &b.counts) }

func (b *batch) enrich(attrs pcommon.Map) {
	if b.cfg.Pods == nil {
		apply(attrs, b.place)
		b.counts[nodeLevel]++
		return
	}
	c := cluesOf(attrs)
	if b.signal == metrics && c.servesURL && !c.namesAnything {
		apply(attrs, b.place)
		b.counts[nodeLevel]++
		return
	}
	s, out := c.find(b.cache, b.sender)
	b.counts[out]++
	if out == enriched {
		apply(attrs, b.list(&s))
		return
	}
	apply(attrs, b.place)
	if b.signal == logs {
		c.applyService(attrs)
	}
}

// list is the subject's attributes and place's, made at the first need. A pod's
// pointer stands for its version, so a list is never out of date.
func (e *enricher) list(s *subject) []keyValue {
	e.mu.RLock()
	list, ok := e.lists[*s]
	e.mu.RUnlock()
	if ok {
		return list
	}
	// Place first: what the configuration says of the node wins over the pod.
	list = append(append(list, e.place...), attributesOf(s, e.cfg)...)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.lists) >= maxLists {
		clear(e.lists)
	}
	e.lists[*s] = list
	return list
}

// applyService gives a log whose pod is not known a service, from its path.
func (c *clues) applyService(attrs pcommon.Map) {
	name := cmp.Or(c.container, c.pod)
	if name == "" {
		return
	}
	list := []keyValue{{serviceName, name}}
	if c.namespace != "" {
		list = append(list, keyValue{serviceNamespace, c.namespace})
	}
	if c.namespace != "" && c.pod != "" && c.container != "" {
		list = append(list, keyValue{serviceInstanceID, c.namespace + "." + c.pod + "." + c.container})
	}
	apply(attrs, list)
}

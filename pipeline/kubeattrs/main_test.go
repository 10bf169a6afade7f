package kubeattrs

import (
	"context"
	"net"
	"os"
	"testing"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/goleak"

	"github.com/crowsnest-o11y/crowsnest/kubemeta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// realPods is the cache of a real node.
func realPods(t testing.TB) *kubemeta.Cache {
	t.Helper()
	f, err := os.Open("testdata/apiserver-pods.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := kubemeta.DecodePodList(f)
	if err != nil {
		t.Fatal(err)
	}
	cache := kubemeta.NewCache()
	cache.Replace(list.Pods)
	return cache
}

type host struct {
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

type podsExtension struct {
	component.StartFunc
	component.ShutdownFunc
	cache *kubemeta.Cache
}

func (p *podsExtension) Cache() *kubemeta.Cache { return p.cache }

var podsID = component.MustNewID("kubepods")

func hostWith(cache *kubemeta.Cache) host {
	return host{map[component.ID]component.Component{podsID: &podsExtension{cache: cache}}}
}

func settings(t testing.TB) (processor.Settings, *componenttest.Telemetry) {
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return processor.Settings{ID: component.MustNewID("kubeattrs"), TelemetrySettings: tel.NewTelemetrySettings()}, tel
}

func config() *Config {
	return &Config{Pods: &podsID, Node: "lab-1", Cluster: "lab"}
}

// enrichOne passes one resource through a started processor.
func enrichOne(t *testing.T, s signal, cfg *Config, cache *kubemeta.Cache, sender net.Addr, resource map[string]any) map[string]any {
	t.Helper()
	set, _ := settings(t)
	ctx := client.NewContext(t.Context(), client.Info{Addr: sender})
	var out pcommon.Resource
	start := func(p component.Component, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(ctx, hostWith(cache)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	fill := func(r pcommon.Resource) {
		if err := r.Attributes().FromRaw(resource); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	switch s {
	case logs:
		sink := new(consumertest.LogsSink)
		p, makeErr := NewFactory().CreateLogs(ctx, set, cfg, sink)
		start(p, makeErr)
		ld := plog.NewLogs()
		fill(ld.ResourceLogs().AppendEmpty().Resource())
		ld.ResourceLogs().At(0).ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		err = p.ConsumeLogs(ctx, ld)
		out = sink.AllLogs()[0].ResourceLogs().At(0).Resource()
	case metrics:
		sink := new(consumertest.MetricsSink)
		p, makeErr := NewFactory().CreateMetrics(ctx, set, cfg, sink)
		start(p, makeErr)
		md := pmetric.NewMetrics()
		fill(md.ResourceMetrics().AppendEmpty().Resource())
		err = p.ConsumeMetrics(ctx, md)
		out = sink.AllMetrics()[0].ResourceMetrics().At(0).Resource()
	case traces:
		sink := new(consumertest.TracesSink)
		p, makeErr := NewFactory().CreateTraces(ctx, set, cfg, sink)
		start(p, makeErr)
		td := ptrace.NewTraces()
		fill(td.ResourceSpans().AppendEmpty().Resource())
		err = p.ConsumeTraces(ctx, td)
		out = sink.AllTraces()[0].ResourceSpans().At(0).Resource()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes().AsRaw()
}

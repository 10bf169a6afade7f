package kubeattrs

import (
	"context"
	"net"
	"testing"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func BenchmarkEnrich(b *testing.B) {
	cache := realPods(b)
	sender := &net.TCPAddr{IP: net.ParseIP("10.244.0.4"), Port: 40000}
	for name, f := range map[string]struct {
		sender   net.Addr
		resource map[string]any
	}{
		"path": {nil, map[string]any{
			"k8s.namespace.name": "shop", "k8s.pod.name": webName, "k8s.pod.uid": webUID,
			"k8s.container.name": "web", "k8s.container.restart_count": int64(0),
		}},
		"sender": {sender, map[string]any{
			"service.name": "web", "telemetry.sdk.language": "go", "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.version": "1.40.0",
		}},
		"unknown": {nil, map[string]any{
			"k8s.namespace.name": "shop", "k8s.pod.name": "new", "k8s.pod.uid": "new", "k8s.container.name": "app",
		}},
		"node": {nil, map[string]any{"service.name": "kubelet", "url.path": "/metrics"}},
	} {
		b.Run(name, func(b *testing.B) {
			set, _ := settings(b)
			e, err := newEnricher(set, config(), metrics)
			if err != nil {
				b.Fatal(err)
			}
			e.cache = cache
			ctx := client.NewContext(context.Background(), client.Info{Addr: f.sender})
			origin := pmetric.NewMetrics()
			if err := origin.ResourceMetrics().AppendEmpty().Resource().Attributes().FromRaw(f.resource); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				md := pmetric.NewMetrics() // see "copy alone" for its share
				origin.CopyTo(md)
				if _, err := e.processMetrics(ctx, md); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("copy alone", func(b *testing.B) {
		origin := pmetric.NewMetrics()
		if err := origin.ResourceMetrics().AppendEmpty().Resource().Attributes().FromRaw(map[string]any{
			"k8s.namespace.name": "shop", "k8s.pod.name": webName, "k8s.pod.uid": webUID,
			"k8s.container.name": "web", "k8s.container.restart_count": int64(0),
		}); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			origin.CopyTo(pmetric.NewMetrics())
		}
	})
}

package system

import (
	"errors"
	"fmt"
	"io"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Balance is a program's ledger of one signal, in log records, data points or
// spans; at rest Received = Delivered + Queued + Dropped.
type Balance struct {
	Received, Delivered, Queued, Dropped int64
	Reasons                              map[string]int64 // of Dropped
}

// Even tells whether every item is accounted for.
func (b Balance) Even() bool { return b.Received == b.Delivered+b.Queued+b.Dropped }

// ParseLedger reads the ledger by signal ("logs", "metrics", "traces") from a
// program's page of its own metrics.
func ParseLedger(page io.Reader) (map[string]Balance, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(page)
	if err != nil {
		return nil, fmt.Errorf("parse ledger: %w", err)
	}
	if families["crowsnest_received_items_total"] == nil {
		return nil, errors.New("read ledger: the page has no crowsnest_received_items_total")
	}
	ledger := map[string]Balance{}
	for name, add := range map[string]func(*Balance, int64, string){
		"crowsnest_received_items_total":  func(b *Balance, n int64, _ string) { b.Received += n },
		"crowsnest_delivered_items_total": func(b *Balance, n int64, _ string) { b.Delivered += n },
		"crowsnest_queued_items":          func(b *Balance, n int64, _ string) { b.Queued += n },
		"crowsnest_dropped_items_total": func(b *Balance, n int64, reason string) {
			b.Dropped += n
			b.Reasons[reason] += n
		},
	} {
		for _, m := range families[name].GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			b := ledger[labels["signal"]]
			if b.Reasons == nil {
				b.Reasons = map[string]int64{}
			}
			add(&b, int64(m.GetCounter().GetValue()+m.GetGauge().GetValue()), labels["reason"])
			ledger[labels["signal"]] = b
		}
	}
	return ledger, nil
}

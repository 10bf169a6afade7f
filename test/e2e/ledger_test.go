//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/crowsnest-o11y/crowsnest/test/system"
)

// checkLedgers waits until each program accounts for all that it received, and
// has given up nothing.
func (in *installation) checkLedgers(t *testing.T) {
	for _, part := range []string{"agent", "aggregator"} {
		pods, err := in.pods(t.Context(), namespace, component(part))
		if err != nil || len(pods) == 0 {
			t.Fatalf("pods of %s: %v (%v)", part, pods, err)
		}
		for _, p := range pods {
			var ledger map[string]system.Balance
			eventually(t, "balance in the ledger of "+p.Name, func(ctx context.Context) error {
				page, err := in.get(ctx, "/api/v1/namespaces/"+namespace+"/pods/"+p.Name+":8888/proxy/metrics", nil)
				if err != nil {
					return err
				}
				if ledger, err = system.ParseLedger(bytes.NewReader(page)); err != nil {
					return err
				}
				return uneven(ledger)
			})
			for signal, b := range ledger {
				t.Logf("%s %-8s received %7d = delivered %7d + queued %d + dropped %d", p.Name, signal, b.Received, b.Delivered, b.Queued, b.Dropped)
				if b.Dropped > 0 {
					t.Errorf("%s dropped %s: %v", p.Name, signal, b.Reasons)
				}
			}
		}
	}
}

func uneven(ledger map[string]system.Balance) error {
	var errs []error
	for signal, b := range ledger {
		if !b.Even() {
			errs = append(errs, fmt.Errorf("%s: %+v", signal, b))
		}
	}
	if len(ledger) != 3 {
		errs = append(errs, fmt.Errorf("signals are %v, want three", ledger))
	}
	return errors.Join(errs...)
}

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// checkEvents wants the last occurrence of each event that the API server has in
// Loki, and no occurrence twice, whatever became of the aggregators.
func (in *installation) checkEvents(t *testing.T) {
	eventually(t, "all events in Loki", func(ctx context.Context) error {
		kept, err := in.keptEvents(ctx)
		if err != nil {
			return err
		}
		told, err := in.toldEvents(ctx)
		if err != nil {
			return err
		}
		missing := 0
		for occurrence, labels := range kept {
			entries := told[occurrence]
			if len(entries) == 0 {
				missing++
				err = fmt.Errorf("%s is not there: %v", occurrence, labels)
				continue
			}
			if diff := cmp.Diff(labels, entries[0].Labels); diff != "" {
				t.Errorf("%s (-want +got):\n%s", occurrence, diff)
			}
		}
		if missing > 0 {
			return errors.Join(fmt.Errorf("%d of %d are missing", missing, len(kept)), err)
		}
		reasons := map[string]int{}
		for occurrence, entries := range told {
			if len(entries) > 1 {
				t.Errorf("%s is there %d times", occurrence, len(entries))
			}
			reasons[entries[0].Metadata["k8s_event_reason"]]++
		}
		for _, reason := range []string{"BackOff", "FailedScheduling", "Scheduled", "Pulled"} {
			if reasons[reason] == 0 {
				return fmt.Errorf("no %s: %v", reason, reasons)
			}
		}
		t.Logf("the API server has %d events, Loki %d occurrences: %v", len(kept), len(told), reasons)
		return nil
	})
}

// keptEvents are those that the API server has, with the labels that they are
// to have in Loki.
func (in *installation) keptEvents(ctx context.Context) (map[string]map[string]string, error) {
	body, err := in.get(ctx, "/api/v1/events", nil)
	if err != nil {
		return nil, err
	}
	var list corev1.EventList
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("decode events: %w", err)
	}
	kept := map[string]map[string]string{}
	for _, e := range list.Items {
		count, last := e.Count, e.LastTimestamp.Time
		if e.Series != nil {
			count, last = e.Series.Count, e.Series.LastObservedTime.Time
		}
		if !*attach && !last.IsZero() && last.Before(in.start) {
			continue // another installation's, whose Loki had it
		}
		labels := map[string]string{"cluster": clusterName, "service_name": "kubernetes-events"}
		if e.InvolvedObject.Namespace != "" {
			labels["namespace"] = e.InvolvedObject.Namespace
		}
		kept[string(e.UID)+" "+strconv.Itoa(int(max(1, count)))] = labels
	}
	if len(kept) == 0 {
		return nil, errors.New("the API server has no events")
	}
	return kept, nil
}

// toldEvents are those in Loki.
func (in *installation) toldEvents(ctx context.Context) (map[string][]stores.Entry, error) {
	told := map[string][]stores.Entry{}
	err := in.loki.Each(ctx, `{service_name="kubernetes-events"}`, time.Now().Add(-3*time.Hour), time.Now().Add(time.Minute), func(e stores.Entry) error {
		occurrence := e.Metadata["k8s_event_uid"] + " " + e.Metadata["k8s_event_count"]
		told[occurrence] = append(told[occurrence], e)
		return nil
	})
	return told, err
}

//go:build e2e

package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"testing"
)

//go:embed testdata/records.txt
var recordsText string

// loadedRule is one as Prometheus tells of it.
type loadedRule struct {
	Name, Type, Health, LastError string
}

// checkRules wants the rules that come with the chart to be evaluated without
// an error, and those that dashboards and alerts read to record something.
func (in *installation) checkRules(t *testing.T) {
	loaded := map[string]bool{}
	eventually(t, "rules in good health", func(ctx context.Context) error {
		rules, err := in.rules(ctx)
		if err != nil {
			return err
		}
		var errs []error
		clear(loaded)
		for _, r := range rules {
			loaded[r.Name] = true
			if r.Health != "ok" {
				errs = append(errs, fmt.Errorf("%s rule %s is %s: %s", r.Type, r.Name, r.Health, r.LastError))
			}
		}
		return joined(errs)
	})
	want := map[string]string{}
	for line := range strings.Lines(recordsText) {
		if name, labels, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			want[name] = labels
			if !loaded[name] {
				t.Errorf("no rule records %s", name)
			}
		}
	}
	t.Logf("%d rules are loaded", len(loaded))
	eventually(t, "what rules record", func(ctx context.Context) error {
		var errs []error
		for name, labels := range want {
			errs = append(errs, in.checkRecord(ctx, name, labels))
		}
		return joined(errs)
	})
}

func (in *installation) checkRecord(ctx context.Context, name, labels string) error {
	matchers := []string{fmt.Sprintf("__name__=%q", name)}
	if labels != "-" {
		for _, label := range strings.Split(labels, ",") {
			matchers = append(matchers, label+`!=""`)
		}
	}
	selector := "{" + strings.Join(matchers, ",") + "}"
	found, err := in.prometheus.Query(ctx, "count("+selector+")")
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no %s", selector)
	}
	return err
}

func (in *installation) rules(ctx context.Context) (all []loadedRule, err error) {
	var answer struct {
		Data struct {
			Groups []struct{ Rules []loadedRule }
		}
	}
	err = in.prometheus.Get(ctx, "/api/v1/rules", nil, &answer)
	for _, g := range answer.Data.Groups {
		all = append(all, g.Rules...)
	}
	return all, err
}

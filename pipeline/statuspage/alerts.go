package statuspage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxAnswerBytes = 16 << 20
	maxAlerts      = 100
	askTimeout     = 3 * time.Second
	// askEvery bounds how often others are asked, however many people look.
	askEvery = 3 * time.Second
)

// alertSource asks Prometheus for active alerts.
type alertSource struct {
	client   *http.Client
	endpoint string

	mu    sync.Mutex
	asked time.Time
	last  *Alerts
}

// ask is the last answer if it is fresh, else a new one. A nil source has none.
func (a *alertSource) ask(ctx context.Context) *Alerts {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last != nil && time.Since(a.asked) < askEvery {
		return a.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	alerts, err := a.get(ctx)
	if err != nil {
		alerts = &Alerts{Error: cut(err.Error(), maxErrorBytes), Active: []Alert{}}
	}
	a.last, a.asked = alerts, time.Now()
	return alerts
}

func (a *alertSource) get(ctx context.Context) (*Alerts, error) {
	var answer struct {
		Status string
		Error  string
		Data   struct{ Alerts []prometheusAlert }
	}
	if err := getJSON(ctx, a.client, strings.TrimSuffix(a.endpoint, "/")+"/api/v1/alerts", "", &answer); err != nil {
		return nil, fmt.Errorf("ask Prometheus for alerts: %w", err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("ask Prometheus for alerts: status %q, %s", answer.Status, answer.Error)
	}
	alerts := &Alerts{Active: []Alert{}}
	for _, p := range answer.Data.Alerts {
		if p.Labels["alertname"] == "Watchdog" || p.Labels["alertname"] == "InfoInhibitor" {
			continue // fire always, by design
		}
		alerts.Active = append(alerts.Active, p.alert())
	}
	slices.SortFunc(alerts.Active, func(x, y Alert) int {
		return cmp.Or(cmp.Compare(x.rank(), y.rank()), cmp.Compare(x.Name, y.Name), y.Since.Compare(x.Since))
	})
	if over := len(alerts.Active) - maxAlerts; over > 0 {
		alerts.Active, alerts.More = alerts.Active[:maxAlerts], over
	}
	return alerts, nil
}

type prometheusAlert struct {
	Labels, Annotations map[string]string
	State               string
	ActiveAt            time.Time
}

func (p prometheusAlert) alert() Alert {
	alert := Alert{
		Name: cut(p.Labels["alertname"], maxNameBytes), State: cut(p.State, maxNameBytes), Severity: cut(p.Labels["severity"], maxNameBytes),
		Summary: cut(p.Annotations["summary"], maxErrorBytes), Description: cut(p.Annotations["description"], maxErrorBytes),
		Runbook: webLink(p.Annotations["runbook_url"]), Since: p.ActiveAt, Labels: map[string]string{},
	}
	for name, value := range p.Labels {
		if name != "alertname" && name != "severity" && len(alert.Labels) < 32 {
			alert.Labels[cut(name, maxNameBytes)] = cut(value, maxNameBytes)
		}
	}
	return alert
}

// rank sorts what fires and is grave first.
func (a Alert) rank() int {
	rank := map[string]int{"critical": 0, "warning": 1}
	n, ok := rank[a.Severity]
	if !ok {
		n = 2
	}
	if a.State != "firing" {
		n += 10
	}
	return n
}

// webLink is the address if a browser may follow it, else empty.
func webLink(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || len(address) > 2048 {
		return ""
	}
	return u.String()
}

// getJSON reads a bounded answer.
func getJSON(ctx context.Context, client *http.Client, address, token string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answer is HTTP %d", resp.StatusCode)
	}
	body := &io.LimitedReader{R: resp.Body, N: maxAnswerBytes + 1}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		if body.N <= 0 {
			return fmt.Errorf("answer is over %d bytes", maxAnswerBytes)
		}
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

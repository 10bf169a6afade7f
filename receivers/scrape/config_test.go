package scrape

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/confmap"
)

func read(t testing.TB, written map[string]any) *Config {
	t.Helper()
	cfg := NewFactory().CreateDefaultConfig()
	if err := confmap.NewFromStringMap(written).Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
	return cfg.(*Config)
}

func TestConfigurations(t *testing.T) {
	job := func(more map[string]any) map[string]any {
		j := map[string]any{"name": "a", "targets": []any{"localhost:8888"}}
		for k, v := range more {
			j[k] = v
		}
		return map[string]any{"jobs": []any{j}}
	}
	for _, c := range []struct {
		written map[string]any
		says    string // "" for one that is good
	}{
		{map[string]any{}, ""},
		{job(nil), ""},
		{job(map[string]any{"token_file": "/t", "scheme": "http"}), ""}, // it does not leave the machine
		{map[string]any{"pods": "kubepods", "annotations": true, "monitors": true, "control_plane": true, "api_server": true, "leader": "leader"}, ""},
		{map[string]any{"interval": "1s"}, ""},
		{map[string]any{"interval": "50ms"}, "interval: 50ms is not between 100ms and 24h"},
		{map[string]any{"timeout": "31s"}, "timeout: 31s is not between 0 and interval (30s)"},
		{map[string]any{"limits": map[string]any{"samples": -1}}, "limits.samples: -1"},
		{map[string]any{"limits": map[string]any{"body_bytes": 1 << 31}}, "limits.body_bytes: 2147483648"},
		{map[string]any{"max_cache_bytes": 1}, "max_cache_bytes: 1"},
		{map[string]any{"max_page_bytes": 1}, "max_page_bytes: 1"},
		{map[string]any{"annotations": true}, "annotations: true needs pods"},
		{map[string]any{"monitors": true}, "monitors: true needs pods"},
		{map[string]any{"control_plane": true}, "control_plane: true needs pods"},
		{job(map[string]any{"name": ""}), "jobs[0].name: is empty"},
		{job(map[string]any{"targets": []any{}}), "jobs[0].targets: empty"},
		{job(map[string]any{"targets": []any{"http://x:80/m"}}), `jobs[0].targets: "http://x:80/m"`},
		{job(map[string]any{"labels": map[string]any{"__address__": "x"}}), `jobs[0].labels: "__address__"`},
		{job(map[string]any{"scheme": "ftp"}), `jobs[0].scheme: "ftp"`},
		{job(map[string]any{"path": "metrics"}), `jobs[0].path: "metrics"`},
		{job(map[string]any{"metric_name_escaping_scheme": "underscores"}), ""},
		{job(map[string]any{"metric_name_escaping_scheme": "dashes"}), `jobs[0].metric_name_escaping_scheme: "dashes"`},
		{job(map[string]any{"interval": "5s", "timeout": "6s"}), "jobs[0].timeout: 6s"},
		{job(map[string]any{"targets": []any{"10.0.0.1:80"}, "token_file": "/t"}), "jobs[0].token_file: would be sent unencrypted"},
		{job(map[string]any{"tls": map[string]any{"cert_file": "/c"}}), "jobs[0].tls: cert_file and key_file belong together"},
		{map[string]any{"jobs": []any{map[string]any{"name": "a", "targets": []any{"x:1"}}, map[string]any{"name": "a", "targets": []any{"y:1"}}}}, `jobs[1].name: "a" is there twice`},
	} {
		err := read(t, c.written).Validate()
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%v: %v", c.written, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%v: %v, want %q", c.written, err, c.says)
		}
	}
}

func TestJobsHaveTheReceiversSettingsOrTheirOwn(t *testing.T) {
	cfg := read(t, map[string]any{
		"interval": "20s", "timeout": "5s", "limits": map[string]any{"samples": 7, "labels": 0},
		"jobs": []any{
			map[string]any{"name": "a", "targets": []any{"x:1"}, "interval": "1s", "limits": map[string]any{"labels": 3}},
			map[string]any{"name": "b", "targets": []any{"x:1"}, "path": "/p", "scheme": "https"},
		},
	})
	r := &scrapeReceiver{cfg: cfg}
	a, b := r.staticJob(&cfg.Jobs[0]), r.staticJob(&cfg.Jobs[1])
	if a.interval != time.Second || a.timeout != time.Second || a.limits.samples != 7 || a.limits.labels != 3 {
		t.Errorf("%+v", a)
	}
	if b.interval != 20*time.Second || b.timeout != 5*time.Second || b.limits.labels != 0 || b.path != "/p" || b.scheme != "https" {
		t.Errorf("%+v", b)
	}
}

func TestRedirectsStayWithTheTarget(t *testing.T) {
	var other *httptest.Server
	asked := 0
	other = serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++ }))
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		default:
			answer(text, "a 1\n")(w, r)
		}
	}))
	for path, outcome := range map[string]string{"/metrics": outcomeOK, "/away": outcomeStatus} {
		r := stoppedRig(t)
		j := r.job("x", sourcePodMonitor)
		j.path, j.http.FollowRedirects, j.params = path, true, url.Values{}
		scraper := r.scraper(t, j, s)
		got, err := scraper.fetch(t.Context())
		got.close()
		if outcomeOf(err) != outcome {
			t.Errorf("%s: %v", path, err)
		}
	}
	if asked != 0 {
		t.Error("the other host was asked")
	}
}

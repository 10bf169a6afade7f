package kubelet

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crowsnest-o11y/crowsnest/test/counters"
	"github.com/crowsnest-o11y/crowsnest/test/samples"
)

func TestDistrustedCertificate(t *testing.T) {
	r := newRig(t, text("a 1\n"), func(cfg *Config) { cfg.Client.TLS.CAFile = "" })
	r.page(t, "/metrics").scrape(t.Context())
	r.failed(t, outcomeTLS, "tls.ca_file", "tls.insecure_skip_verify", "unknown authority")

	r = newRig(t, text("a 1\n"), func(cfg *Config) { cfg.Client.TLS.CAFile, cfg.Client.TLS.InsecureSkipVerify = "", true })
	r.page(t, "/metrics").scrape(t.Context())
	series, up := r.sink.last(t)
	if samples.Equal(t, series, []string{`{__name__="a"} 1`}); up != "1" {
		t.Errorf("up is %q, want 1", up)
	}
}

func TestWrongNameInCertificate(t *testing.T) {
	r := newRig(t, text("a 1\n"), func(cfg *Config) { cfg.Client.TLS.ServerName = "node-1" })
	r.page(t, "/metrics").scrape(t.Context())
	r.failed(t, outcomeTLS, "tls.server_name_override")
}

func TestClientCertificateIsRefused(t *testing.T) {
	r := newRig(t, text("a 1\n"), nil)
	r.server.TLS.ClientAuth = tls.RequireAnyClientCert
	// In TLS 1.3 the refusal comes after the handshake, and whether the client
	// still reads it before it sees the connection end is a matter of luck.
	r.server.TLS.MaxVersion = tls.VersionTLS12
	r.page(t, "/metrics").scrape(t.Context())
	r.failed(t, outcomeTLS, "tls.cert_file")
}

func TestRefusingStatus(t *testing.T) {
	f := func(status int, outcome string, says ...string) {
		t.Helper()
		r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			http.Error(w, "said by the kubelet", status)
		}), nil)
		r.page(t, "/metrics").scrape(t.Context())
		r.failed(t, outcome, append(says, "said by the kubelet", fmt.Sprint(status))...)
	}
	f(http.StatusUnauthorized, outcomeUnauthorized, "token_file")
	f(http.StatusForbidden, outcomeForbidden, "nodes/metrics", `"get"`)
	f(http.StatusNotFound, outcomeStatus, "paths")
	f(http.StatusInternalServerError, outcomeStatus)
	f(http.StatusFound, outcomeStatus) // not followed: the token is for the kubelet alone
}

func TestTokenRotation(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Authorization") != "Bearer second" {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		text("a 1\n")(w, request)
	}), func(cfg *Config) { cfg.TokenFile = token })
	e := r.page(t, "/metrics")
	scrapeWith := func(content, outcome string) {
		t.Helper()
		if content != "" {
			if err := os.WriteFile(token, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		e.scrape(t.Context())
		if n := counters.Sum(t, r.telemetry, "crowsnest_kubelet_scrapes", "outcome", outcome); n != 1 {
			t.Errorf("with token %q: %d scrapes counted as %s, want 1", content, n, outcome)
		}
	}
	scrapeWith("", outcomeToken)
	scrapeWith("first\n", outcomeUnauthorized)
	scrapeWith("second\n", outcomeOK)
	if r.logs.FilterMessageSnippet("works again").Len() != 1 {
		t.Error("recovery is not logged once")
	}
	for _, bad := range []string{" \n", "a\nb", strings.Repeat("x", maxTokenBytes+1)} {
		if err := os.WriteFile(token, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readToken(token); err == nil {
			t.Errorf("token of %d bytes is taken", len(bad))
		}
	}
}

func packed(t *testing.T, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestGzip(t *testing.T) {
	answer := packed(t, []byte("a 1\n"))
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(answer)
	}), func(cfg *Config) { cfg.MaxBodyBytes = 1 << 20 })
	e := r.page(t, "/metrics")
	for range 2 {
		e.scrape(t.Context())
		series, _ := r.sink.last(t)
		samples.Equal(t, series, []string{`{__name__="a"} 1`})
	}
	answer = packed(t, bytes.Repeat([]byte("# a bomb\n"), 1<<20))
	e.scrape(t.Context())
	r.failed(t, outcomeTooLarge)
	answer = answer[:len(answer)/200]
	e.scrape(t.Context())
	r.failed(t, outcomeRead)
	if cap(e.fetcher.buffer) > 4<<20 {
		t.Errorf("buffer keeps %d bytes", cap(e.fetcher.buffer))
	}
}

func TestUnfitAnswers(t *testing.T) {
	f := func(name, outcome string, answer http.HandlerFunc, says ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			r := newRig(t, answer, func(cfg *Config) { cfg.MaxBodyBytes = 1 << 20 })
			e := r.page(t, "/metrics")
			e.scrape(t.Context())
			r.failed(t, outcome, says...)
		})
	}
	f("announced too large", outcomeTooLarge, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "1048577")
	}, "max_body_bytes (1048576)", "1048577 bytes announced")
	f("endless", outcomeTooLarge, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("a 1\n"), 1000)); err != nil {
				return
			}
		}
	}, "max_body_bytes")
	f("cut off", outcomeRead, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "a 1\n")
	}, "read page")
	f("web page", outcomeContent, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>")
	}, "text/html", "endpoint")
	f("no type", outcomeContent, func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil })
	f("other packing", outcomeContent, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Encoding", "br")
	}, `"br"`)
	f("malformed", outcomeMalformed, text("a 1\nb 2\nc{ 3\nd 4\n"), "line 3 (byte 8)")
	f("OpenMetrics cut off", outcomeMalformed, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text")
		_, _ = io.WriteString(w, "a 1\n")
	}, "# EOF")
}

// A kubelet that begins to answer and then hangs is as late as one that does
// not begin.
func TestHangsInTheMiddle(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "a 1\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}), func(cfg *Config) { cfg.Client.Timeout = 200 * time.Millisecond })
	r.page(t, "/metrics").scrape(t.Context())
	r.failed(t, outcomeTimeout, "hangs: no whole answer within 200ms")
}

func TestNoTLS(t *testing.T) {
	plain := httptest.NewServer(text("a 1\n"))
	t.Cleanup(plain.Close)
	r := newRig(t, text(""), nil)
	e := r.page(t, "/metrics")
	e.fetcher.url = strings.Replace(plain.URL, "http:", "https:", 1)
	e.scrape(t.Context())
	r.failed(t, outcomeTLS, "answers without TLS")
}

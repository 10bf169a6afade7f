package prometheus

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// failFirst answers the first n requests with f.
func failFirst(n int, f http.HandlerFunc) func(http.ResponseWriter, *http.Request, []string) bool {
	var count atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, _ []string) bool {
		if count.Add(1) > int64(n) {
			return false
		}
		f(w, r)
		return true
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
}

func TestWhatIsNotTheDatasFaultIsSentAgain(t *testing.T) {
	f := func(name string, fault http.HandlerFunc) {
		for _, protocol := range []string{ProtocolV1, ProtocolV2} {
			t.Run(name+protocol, func(t *testing.T) {
				r := newReceiver(t, failFirst(3, fault))
				e := start(t, remoteTo(r.URL, protocol), tuneRemote(func(c *RemoteWriteConfig) { c.HTTP.Timeout = 200 * time.Millisecond }))
				e.mustConsume(metrics(gauge(1, 5)))
				if diff := cmp.Diff([]string{"g{} 1 @5"}, r.takenSamples()); diff != "" {
					t.Errorf("taken (-want +got):\n%s", diff)
				}
				e.wantLedger(1, nil)
				if got := e.counter("crowsnest_prometheus_retries"); got != 3 {
					t.Errorf("%d retries, want 3", got)
				}
				if got := e.logs.FilterMessageSnippet("did not take samples").Len(); got != 1 {
					t.Errorf("%d log lines, want 1", got)
				}
			})
		}
	}
	for _, code := range []int{401, 403, 404, 408, 415, 429, 500, 502, 503} {
		f(strconv.Itoa(code), status(code))
	}
	f("cut", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	f("hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f("cut within the answer", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "x")
	})
	f("endless answer", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
}

// roundTrip is a transport without a network, so that time can be synctest's.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(code int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Status: strconv.Itoa(code), Header: h, Body: io.NopCloser(strings.NewReader("text"))}
}

func writerOver(t *testing.T, transport roundTrip, options ...func(*Config)) *remoteWriter {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	remoteTo("http://store.test/api/v1/write", ProtocolV1)(cfg)
	for _, o := range options {
		o(cfg)
	}
	core, _ := observer.New(zap.InfoLevel)
	set := componenttest.NewNopTelemetrySettings()
	set.Logger = zap.New(core)
	tel, err := newTelemetry(set, "prometheus", newTable(1<<20, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return newRemoteWriter(cfg.RemoteWrite.Get(), &http.Client{Transport: transport}, tel)
}

func TestRetryAfterIsHonoured(t *testing.T) {
	f := func(header func() string, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var at []time.Time
			w := writerOver(t, func(*http.Request) (*http.Response, error) {
				at = append(at, time.Now())
				if len(at) == 1 {
					return reply(http.StatusTooManyRequests, "Retry-After", header()), nil
				}
				return reply(http.StatusNoContent), nil
			})
			if err := w.write(t.Context(), translate(metrics(gauge(1, 5)), 0).points, nil); err != nil {
				t.Fatal(err)
			}
			if len(at) != 2 {
				t.Fatalf("%d requests, want 2", len(at))
			}
			// An HTTP date has whole seconds.
			if got := at[1].Sub(at[0]).Round(time.Second); got != want {
				t.Errorf("second request after %s, want %s", got, want)
			}
		})
	}
	f(func() string { return "7" }, 7*time.Second)
	f(func() string { return time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat) }, 9*time.Second)
	f(func() string { return "999999999" }, maxRetryAfter)
	f(func() string { return "-5" }, 0)
	f(func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, 0)
	f(func() string { return "soon" }, 0)
}

// endless is a body without an end.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	e.read += len(b)
	return len(b), nil
}

func (e *endless) Close() error { return nil }

func TestAnswerIsReadWithinABound(t *testing.T) {
	body := &endless{}
	w := writerOver(t, func(*http.Request) (*http.Response, error) {
		r := reply(http.StatusBadRequest)
		r.Body = body
		return r, nil
	})
	points := translate(metrics(gauge(1, 5)), 0).points
	if err := w.write(t.Context(), points, nil); err != nil {
		t.Fatal(err)
	}
	if points[0].refused == "" || body.read > 2*maxAnswerBytes {
		t.Errorf("refused %q after %d bytes", points[0].refused, body.read)
	}
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		w := writerOver(t, func(*http.Request) (*http.Response, error) {
			at = append(at, time.Now())
			if len(at) < 8 {
				return nil, errors.New("no route")
			}
			return reply(http.StatusOK), nil
		}, withRetry(func(b *configretry.BackOffConfig) {
			b.InitialInterval, b.Multiplier, b.RandomizationFactor, b.MaxInterval = time.Second, 2, 0, 8*time.Second
		}))
		if err := w.write(t.Context(), translate(metrics(gauge(1, 5)), 0).points, nil); err != nil {
			t.Fatal(err)
		}
		var gaps []time.Duration
		for i := 1; i < len(at); i++ {
			gaps = append(gaps, at[i].Sub(at[i-1])/time.Second)
		}
		if diff := cmp.Diff([]time.Duration{1, 2, 4, 8, 8, 8, 8}, gaps); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRetryEndsWithItsBound(t *testing.T) {
	f := func(want int, tune func(*configretry.BackOffConfig)) {
		t.Helper()
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []string) bool {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return true
		})
		e := start(t, remoteTo(r.URL, ProtocolV1), withRetry(tune))
		err := e.consume(t.Context(), metrics(gauge(1, 5)))
		if !errors.Is(err, errGivenUp) || consumererror.IsPermanent(err) {
			t.Errorf("error %v, want %v, not permanent", err, errGivenUp)
		}
		if got := r.requestCount(); got < 1 || want > 0 && got != want {
			t.Errorf("%d requests, want %d", got, want)
		}
		e.wantLedger(0, nil)
	}
	f(1, func(b *configretry.BackOffConfig) { b.Enabled = false })
	f(0, func(b *configretry.BackOffConfig) { b.MaxElapsedTime = 300 * time.Millisecond })
}

func TestCallerAndShutdownEndTheWait(t *testing.T) {
	down := func(w http.ResponseWriter, _ *http.Request, _ []string) bool {
		w.Header().Set("Retry-After", "3600")
		http.Error(w, "no", http.StatusServiceUnavailable)
		return true
	}
	f := func(want error, end func(e *running, cancel context.CancelFunc)) {
		t.Helper()
		r := newReceiver(t, down)
		e := start(t, remoteTo(r.URL, ProtocolV1))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		failed := make(chan error)
		go func() { failed <- e.consume(ctx, metrics(gauge(1, 5))) }()
		eventually(t, "the wait", func() error {
			if e.logs.FilterMessageSnippet("did not take samples").Len() == 0 {
				return errors.New("not yet")
			}
			return nil
		})
		end(e, cancel)
		if err := <-failed; !errors.Is(err, want) || consumererror.IsPermanent(err) {
			t.Errorf("error %v, want %v, not permanent", err, want)
		}
		e.wantLedger(0, nil)
	}
	f(context.Canceled, func(_ *running, cancel context.CancelFunc) { cancel() })
	f(errShutdown, func(e *running, _ context.CancelFunc) {
		for range 2 {
			if err := e.shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestShutdownWithoutStart(t *testing.T) {
	f := NewFactory()
	cfg := f.CreateDefaultConfig().(*Config)
	withPage(cfg)
	e, err := f.CreateMetrics(t.Context(), settings(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestFactoryMakesAWorkingExporter(t *testing.T) {
	var connections atomic.Int64
	r := newReceiver(t, failFirst(1, status(http.StatusServiceUnavailable)))
	r.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	cfg := createDefaultConfig().(*Config)
	remoteTo(r.URL, ProtocolV1)(cfg)
	e, err := NewFactory().CreateMetrics(t.Context(), settings(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if e.Capabilities().MutatesData {
		t.Error("data of other exporters is changed")
	}
	if err := e.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := e.ConsumeMetrics(t.Context(), cadvisorPage(t, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := connections.Load(); n > int64(cfg.RemoteWrite.Get().Shards) {
		t.Errorf("%d connections for %d shards", n, cfg.RemoteWrite.Get().Shards)
	}
}

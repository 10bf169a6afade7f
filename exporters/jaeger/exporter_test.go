package jaeger

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// eachProtocol runs f as a subtest of each protocol.
func eachProtocol(t *testing.T, f func(t *testing.T, protocol string)) {
	for _, protocol := range []string{protocolOTLP, protocolAPIv2} {
		t.Run(protocol, func(t *testing.T) { f(t, protocol) })
	}
}

func wantTaken(t *testing.T, s *sink, spans int, except ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) != spans {
		t.Errorf("sink has %d spans, want %d", len(s.taken), spans)
	}
	for name, times := range s.taken {
		if times != 1 {
			t.Errorf("sink took %s %d times", name, times)
		}
		if slices.Contains(except, name) {
			t.Errorf("sink has %s", name)
		}
	}
}

func TestDelivers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		s := startSink(t, "127.0.0.1:0", nil)
		e := start(t, protocol, s.addr, nil)
		td := someTraces(100)
		td.MarkReadOnly()
		if err := e.ConsumeTraces(t.Context(), td); err != nil {
			t.Fatal(err)
		}
		wantTaken(t, s, 100)
		e.wantLedger(100, nil)
		if got := e.count("crowsnest_jaeger_requests", "code", "OK"); got != s.requests {
			t.Errorf("counted %d requests, sink had %d", got, s.requests)
		}
	})
}

func TestRetriesUntilTaken(t *testing.T) {
	codesToKeep := []codes.Code{
		codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Aborted, codes.Canceled,
		codes.OutOfRange, codes.DataLoss, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.Unknown,
	}
	eachProtocol(t, func(t *testing.T, protocol string) {
		left := slices.Clone(codesToKeep)
		s := startSink(t, "127.0.0.1:0", func(context.Context, []string) (int64, error) {
			if len(left) == 0 {
				return 0, nil
			}
			code := left[0]
			left = left[1:]
			return 0, status.Error(code, "not now")
		})
		e := start(t, protocol, s.addr, nil)
		if err := e.ConsumeTraces(t.Context(), someTraces(30)); err != nil {
			t.Fatal(err)
		}
		wantTaken(t, s, 30)
		e.wantLedger(30, nil)
		for _, code := range codesToKeep {
			if got := e.count("crowsnest_jaeger_requests", "code", code.String()); got != 1 {
				t.Errorf("counted %d requests answered %v, want 1", got, code)
			}
		}
	})
}

// A server that asks to wait is not asked again before.
func TestWaitsAsLongAsTheServerAsks(t *testing.T) {
	const delay = 300 * time.Millisecond
	eachProtocol(t, func(t *testing.T, protocol string) {
		var refusedAt, takenAt time.Time
		s := startSink(t, "127.0.0.1:0", func(context.Context, []string) (int64, error) {
			if refusedAt.IsZero() {
				refusedAt = time.Now()
				st, err := status.New(codes.ResourceExhausted, "slow down").
					WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
				if err != nil {
					return 0, err
				}
				return 0, st.Err()
			}
			takenAt = time.Now()
			return 0, nil
		})
		e := start(t, protocol, s.addr, nil)
		td := ptrace.NewTraces()
		someTraces(6).ResourceSpans().At(0).CopyTo(td.ResourceSpans().AppendEmpty())
		if err := e.ConsumeTraces(t.Context(), td); err != nil {
			t.Fatal(err)
		}
		if waited := takenAt.Sub(refusedAt); waited < delay {
			t.Errorf("asked again after %v, was asked to wait %v", waited, delay)
		}
	})
}

func TestIsolatesPoisonedSpans(t *testing.T) {
	poison := []string{"span-7", "span-8", "span-93"}
	for _, code := range []codes.Code{codes.InvalidArgument, codes.Internal} {
		eachProtocol(t, func(t *testing.T, protocol string) {
			s := startSink(t, "127.0.0.1:0", func(_ context.Context, spans []string) (int64, error) {
				for _, name := range spans {
					if slices.Contains(poison, name) {
						return 0, status.Error(code, "span has no soul")
					}
				}
				return 0, nil
			})
			e := start(t, protocol, s.addr, nil)
			if err := e.ConsumeTraces(t.Context(), someTraces(100)); err != nil {
				t.Fatal(err)
			}
			wantTaken(t, s, 97, poison...)
			e.wantLedger(97, map[string]int{"rejected": 3})
		})
	}
}

// A retryable answer in the middle of bisecting neither repeats what was taken
// nor forgets what was refused.
func TestGoesOnWhereItStopped(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		n := 0
		s := startSink(t, "127.0.0.1:0", func(_ context.Context, spans []string) (int64, error) {
			if n++; n%2 == 0 {
				return 0, status.Error(codes.Unavailable, "every second time")
			}
			if slices.Contains(spans, "span-11") {
				return 0, status.Error(codes.InvalidArgument, "no")
			}
			return 0, nil
		})
		e := start(t, protocol, s.addr, nil)
		if err := e.ConsumeTraces(t.Context(), someTraces(40)); err != nil {
			t.Fatal(err)
		}
		wantTaken(t, s, 39, "span-11")
		e.wantLedger(39, map[string]int{"rejected": 1})
	})
}

func TestCountsPartialSuccess(t *testing.T) {
	for _, c := range []struct{ says, want int64 }{{4, 4}, {1000, 20}, {-3, 0}} {
		s := startSink(t, "127.0.0.1:0", func(context.Context, []string) (int64, error) { return c.says, nil })
		e := start(t, protocolOTLP, s.addr, nil)
		if err := e.ConsumeTraces(t.Context(), someTraces(20)); err != nil {
			t.Fatal(err)
		}
		e.wantLedger(20-int(c.want), map[string]int{"rejected": int(c.want)})
	}
}

// The caller that gives up gets an error that is not permanent and sends again:
// nothing may be counted yet, although a part was taken.
func TestCountsNothingWhenTheCallerGivesUp(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		ctx, cancel := context.WithCancel(t.Context())
		s := startSink(t, "127.0.0.1:0", func(_ context.Context, spans []string) (int64, error) {
			if slices.Contains(spans, "span-3") && len(spans) > 1 {
				return 0, status.Error(codes.InvalidArgument, "halve it")
			}
			if slices.Contains(spans, "span-3") {
				cancel()
				return 0, status.Error(codes.Unavailable, "and now I am gone")
			}
			return 0, nil
		})
		e := start(t, protocol, s.addr, nil)
		err := e.ConsumeTraces(ctx, someTraces(30))
		if err == nil || consumererror.IsPermanent(err) {
			t.Fatalf("got %v, want an error that is not permanent", err)
		}
		if !strings.Contains(err.Error(), s.addr) {
			t.Errorf("error does not name the endpoint: %v", err)
		}
		e.wantLedger(0, nil)
	})
}

func TestShutdownEndsRetries(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		asked := make(chan struct{}, 100)
		s := startSink(t, "127.0.0.1:0", func(context.Context, []string) (int64, error) {
			asked <- struct{}{}
			return 0, status.Error(codes.Unavailable, "never")
		})
		e := start(t, protocol, s.addr, nil)
		result := make(chan error)
		go func() { result <- e.ConsumeTraces(context.Background(), someTraces(3)) }()
		<-asked
		if err := e.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err == nil || consumererror.IsPermanent(err) {
			t.Errorf("got %v, want an error that is not permanent", err)
		}
		e.wantLedger(0, nil)
	})
}

func TestRefusesBeforeStart(t *testing.T) {
	e, err := newTraces(t.Context(), settings(t), defaultConfig().(*Config))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.ConsumeTraces(ctx, someTraces(1)); err == nil || consumererror.IsPermanent(err) {
		t.Errorf("got %v, want an error that is not permanent", err)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A server that takes the request and never answers costs a timeout, not the spans.
func TestHangingServer(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		hung := false
		s := startSink(t, "127.0.0.1:0", func(ctx context.Context, _ []string) (int64, error) {
			if !hung {
				hung = true
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 0, nil
		})
		e := start(t, protocol, s.addr, func(c *Config) { c.Timeout = 200 * time.Millisecond })
		if err := e.ConsumeTraces(t.Context(), someTraces(12)); err != nil {
			t.Fatal(err)
		}
		wantTaken(t, s, 12)
		e.wantLedger(12, nil)
	})
}

// The connection is cut while a request is open, and another server takes over
// the address later.
func TestConnectionCut(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		asked := make(chan struct{}, 1)
		first := startSink(t, "127.0.0.1:0", func(ctx context.Context, _ []string) (int64, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		e := start(t, protocol, first.addr, nil)
		result := make(chan error)
		go func() { result <- e.ConsumeTraces(context.Background(), someTraces(12)) }()
		<-asked
		first.stop()
		second := startSink(t, first.addr, nil)
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		wantTaken(t, second, 12)
		e.wantLedger(12, nil)
	})
}

func TestKeepsUnderTheMessageLimit(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		s := startSink(t, "127.0.0.1:0", nil) // gRPC's own limit: 4 MiB
		e := start(t, protocol, s.addr, nil)
		td := someTraces(2000)
		pad := strings.Repeat("x", 10<<10)
		eachSpan(td, func(_ ptrace.ResourceSpans, _ ptrace.ScopeSpans, span ptrace.Span) {
			span.Attributes().PutStr("pad", pad)
			if span.Name() == "span-77" {
				span.Attributes().PutStr("huge", strings.Repeat("x", maxMessageBytes))
			}
		})
		td.MarkReadOnly()
		if err := e.ConsumeTraces(t.Context(), td); err != nil {
			t.Fatal(err)
		}
		wantTaken(t, s, 1999, "span-77")
		e.wantLedger(1999, map[string]int{"too_large": 1})
		// Cut before sending, not after a refusal.
		if bad := e.count("crowsnest_jaeger_requests") - e.count("crowsnest_jaeger_requests", "code", "OK"); bad != 0 {
			t.Errorf("%d requests were refused", bad)
		}
	})
}

// A Jaeger with a smaller limit than gRPC's default.
func TestHalvesForSmallerLimits(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		s := startSink(t, "127.0.0.1:0", func(_ context.Context, spans []string) (int64, error) {
			if len(spans) > 5 || slices.Contains(spans, "span-9") {
				return 0, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5000 vs. 1000)")
			}
			return 0, nil
		})
		e := start(t, protocol, s.addr, nil)
		if err := e.ConsumeTraces(t.Context(), someTraces(50)); err != nil {
			t.Fatal(err)
		}
		wantTaken(t, s, 49, "span-9")
		e.wantLedger(49, map[string]int{"too_large": 1})
	})
}

func TestConfig(t *testing.T) {
	bad := func(change func(*Config), want string) {
		t.Helper()
		cfg := defaultConfig().(*Config)
		cfg.ClientConfig.Endpoint = "jaeger:4317"
		change(cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	bad(func(c *Config) { c.ClientConfig.Endpoint = "" }, "endpoint is empty")
	bad(func(c *Config) { c.Protocol = "thrift" }, `protocol is "thrift"`)
	bad(func(c *Config) { c.Timeout = 0 }, "timeout is 0s")
	bad(func(c *Config) { c.RetryConfig.Enabled = false }, "retry_on_failure::enabled is false")
}

func TestConfigKeys(t *testing.T) {
	cfg := defaultConfig()
	err := confmap.NewFromStringMap(map[string]any{
		"endpoint": "jaeger:14250", "protocol": "api_v2", "timeout": "3s", "compression": "gzip",
		"tls":              map[string]any{"insecure": true},
		"retry_on_failure": map[string]any{"max_interval": "40s"},
	}).Unmarshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.(*Config)
	if got.ClientConfig.Endpoint != "jaeger:14250" || got.Protocol != protocolAPIv2 || got.Timeout != 3*time.Second ||
		got.ClientConfig.Compression != "gzip" || !got.ClientConfig.TLS.Insecure ||
		got.RetryConfig.MaxInterval != 40*time.Second || !got.RetryConfig.Enabled || got.RetryConfig.MaxElapsedTime != 0 {
		t.Errorf("got %+v", got)
	}
	if err := confmap.Validate(cfg); err != nil {
		t.Error(err)
	}
}

func TestTransportErrorsAreRetried(t *testing.T) {
	err := status.Error(codes.Internal, "stream terminated by RST_STREAM with error code: INTERNAL_ERROR")
	if got := fateOf(err); got != again {
		t.Errorf("got fate %d, want %d", got, again)
	}
	if got := fateOf(errors.New("plain")); got != again {
		t.Errorf("got fate %d, want %d", got, again)
	}
}

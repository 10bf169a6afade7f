package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// service is a link of the chain, instrumented as any service would be: by the
// OpenTelemetry SDK, set by its standard variables (OTEL_SERVICE_NAME,
// OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL, …).
type service struct {
	name   string
	next   string // URL of the next link, "" for the last
	lines  *lines
	client http.Client
	tracer trace.Tracer
}

// runChain answers requests: it logs a line with the trace's id and calls the
// next link. The first link makes the requests, too. A trace of three links has
// five spans.
func runChain(ctx context.Context, flags *flag.FlagSet, args []string) error {
	listen := flags.String("listen", ":8080", "address to listen on")
	next := flags.String("next", "", "URL of the next service")
	interval := flags.Duration("interval", 0, "make a request so often; 0: only answer")
	flags.Parse(args)
	out, err := newLines(os.Stdout)
	if err != nil {
		return err
	}
	provider, err := newTracerProvider(ctx)
	if err != nil {
		return fmt.Errorf("set up tracing: %w", err)
	}
	s := service{
		name:   os.Getenv("OTEL_SERVICE_NAME"),
		next:   *next,
		lines:  out,
		client: http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport), Timeout: 10 * time.Second},
		tracer: provider.Tracer("workload"),
	}
	requested := make(chan struct{})
	go func() {
		defer close(requested)
		s.request(ctx, *interval)
	}()
	err = serve(ctx, *listen, otelhttp.NewHandler(s, "GET /"))
	<-requested
	// What was traced is sent, however long the receiver takes; the kubelet has
	// the last word.
	return firstError(err, provider.Shutdown(context.WithoutCancel(ctx)))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// newTracerProvider loses no span while the receiver is away: its queue blocks,
// and its exporter is patient.
func newTracerProvider(ctx context.Context) (*sdktrace.TracerProvider, error) {
	var exporter sdktrace.SpanExporter
	var err error
	if strings.HasPrefix(os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http") {
		exporter, err = otlptracehttp.New(ctx)
	} else {
		exporter, err = otlptracegrpc.New(ctx)
	}
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(patient{exporter},
		sdktrace.WithBlocking(), sdktrace.WithBatchTimeout(time.Second), sdktrace.WithExportTimeout(time.Hour)))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return provider, nil
}

// patient tries again whatever the error is. The exporters' own retries end after
// OTEL_EXPORTER_OTLP_TIMEOUT, and a refused connection by HTTP is none to them.
type patient struct{ sdktrace.SpanExporter }

func (p patient) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	for {
		err := p.SpanExporter.ExportSpans(ctx, spans)
		if err == nil {
			return nil
		}
		if sleepUntil(ctx, time.Now().Add(500*time.Millisecond)) != nil {
			return err
		}
	}
}

// ServeHTTP logs before it answers.
func (s service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.handle(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (s service) handle(ctx context.Context) error {
	span := trace.SpanContextFromContext(ctx)
	if err := s.lines.write(span.TraceID().String(), span.SpanID().String(), 0); err != nil {
		return err
	}
	if s.next == "" {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.next, nil)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", s.next, response.Status)
	}
	return err
}

// request starts a trace at every tick. Errors are on its spans: at the start
// the next link may not be there yet.
func (s service) request(ctx context.Context, interval time.Duration) {
	if interval <= 0 {
		return
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		spanContext, span := s.tracer.Start(context.WithoutCancel(ctx), "place order", trace.WithSpanKind(trace.SpanKindInternal))
		if err := s.handle(spanContext); err != nil {
			span.RecordError(err)
		}
		span.End()
	}
}

package main

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// runHTTP answers /ready by 200 or 503. PUT /ready and DELETE /ready change it.
func runHTTP(ctx context.Context, flags *flag.FlagSet, args []string) error {
	listen := flags.String("listen", ":8080", "address to listen on")
	ready := flags.Bool("ready", true, "be ready from the start")
	flags.Parse(args)
	out, err := newLines(os.Stdout)
	if err != nil {
		return err
	}
	if err := out.write("", "", 0); err != nil {
		return err
	}
	return serve(ctx, *listen, readiness(*ready))
}

func readiness(ready bool) http.Handler {
	var state atomic.Bool
	state.Store(ready)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !state.Load() {
			http.Error(w, "not ready, as asked for", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("PUT /ready", func(http.ResponseWriter, *http.Request) { state.Store(true) })
	mux.HandleFunc("DELETE /ready", func(http.ResponseWriter, *http.Request) { state.Store(false) })
	return mux
}

// serve serves until ctx ends, and lets running requests end.
func serve(ctx context.Context, address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = server.Shutdown(grace)
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		return e
	}
	return err
}

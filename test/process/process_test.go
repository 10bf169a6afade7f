package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// The test program is its own child: as a server, or one that fails.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST") {
	case "serve":
		http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
		fmt.Println("serving")
		panic(http.ListenAndServe(os.Getenv("PROCESS_TEST_ADDRESS"), nil))
	case "fail":
		fmt.Println("listen tcp 127.0.0.1:1: bind: address already in use")
		os.Exit(3)
	}
	goleak.VerifyTestMain(m)
}

func child(t *testing.T, mode string) (Options, string) {
	t.Helper()
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	return Options{
		Name: mode, Path: os.Args[0], LogPath: filepath.Join(t.TempDir(), "logs", "child.log"),
		Env: []string{"PROCESS_TEST=" + mode, "PROCESS_TEST_ADDRESS=" + address},
	}, address
}

func TestKillAndRestartOnTheSamePort(t *testing.T) {
	o, address := child(t, "serve")
	dial := func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err
	}
	o.Ready = contextless(dial)
	p, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	first := p.PID()
	if u, err := p.Usage(); err != nil || u.RSSBytes < 1<<20 {
		t.Errorf("usage %+v, %v", u, err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if p.PID() != 0 || dial() == nil || p.Err() != nil {
		t.Fatalf("after Kill: pid %d, error %v", p.PID(), p.Err())
	}
	if err := p.Signal(0); err == nil {
		t.Error("a signal reached a program that does not run")
	}
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	if p.PID() == first || dial() != nil {
		t.Fatal("Restart did not start it again")
	}
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if log := string(p.LogTail()); strings.Count(log, "serving") != 2 {
		t.Errorf("log holds not both lives: %s", log)
	}
}

func TestOwnEndIsAnError(t *testing.T) {
	o, _ := child(t, "fail")
	o.Ready = contextless(func() error { return errors.New("never") })
	_, err := Start(t.Context(), o)
	var exit *ExitError
	if !errors.As(err, &exit) || !exit.AddressInUse() || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("error is %v, want an ExitError with status and output", err)
	}
}

func TestUnknownProgramIsAnError(t *testing.T) {
	o, _ := child(t, "fail")
	o.Path = filepath.Join(t.TempDir(), "nothing")
	if _, err := Start(t.Context(), o); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("error is %v, want that the file does not exist", err)
	}
}

func TestFreePortsAreFreeAndDifferent(t *testing.T) {
	ports, err := FreePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range ports {
		if seen[p] || p < firstPort || p >= lastPort {
			t.Errorf("port %d again or out of range", p)
		}
		seen[p] = true
	}
}
func contextless(f func() error) func(context.Context) error {
	return func(context.Context) error { return f() }
}

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// readyTimeout is generous: a busy two-core machine starts Loki in 2 to 20 s.
	readyTimeout = 120 * time.Second
	// stopGrace is how long a program may take to end after SIGTERM.
	stopGrace = 10 * time.Second
	// logTailBytes is how much of the output an error carries.
	logTailBytes = 4 << 10
)

// Options say what to run.
type Options struct {
	Name    string   // for errors and the log file's name
	Path    string   // the program
	Args    []string // without the program's name
	Env     []string // KEY=VALUE, on top of the test's own environment
	LogPath string   // file that gets stdout and stderr, appended to by each start
	Mirror  io.Writer
	// Ready is asked every 50 ms until it returns nil; nil = ready once started.
	Ready func(context.Context) error
}

// Process is a child. Its methods are safe for concurrent use, except that
// Restart, Stop and Kill wait for each other.
type Process struct {
	o Options

	mu  sync.Mutex // guards run and is held across start and stop
	run *run
}

// run is one life of the program.
type run struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the child is reaped
	err    error         // of Wait; read it after exited is closed
	wanted bool          // the end was asked for
}

// ExitError says that a program ended by itself.
type ExitError struct {
	Name    string
	LogPath string
	Tail    []byte // end of its output
	Err     error  // of wait; nil after exit code 0
}

func (e *ExitError) Error() string {
	status := "exit status 0"
	if e.Err != nil {
		status = e.Err.Error()
	}
	return fmt.Sprintf("%s ended by itself (%s); end of %s:\n%s", e.Name, status, e.LogPath, e.Tail)
}

func (e *ExitError) Unwrap() error { return e.Err }

// AddressInUse tells whether the program ended since a port was taken.
func (e *ExitError) AddressInUse() bool {
	return bytes.Contains(e.Tail, []byte("address already in use"))
}

// Start runs the program and returns when it is ready. On error nothing is left running.
func Start(ctx context.Context, o Options) (*Process, error) {
	p := &Process{o: o}
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// PID of the running program, 0 if none runs.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil || p.run.ended() {
		return 0
	}
	return p.run.cmd.Process.Pid
}

// LogPath is the file with the program's output.
func (p *Process) LogPath() string { return p.o.LogPath }

// LogTail is the end of that file, 4 KiB at most.
func (p *Process) LogTail() []byte { return tail(p.o.LogPath) }

// Restart stops the program if it still runs, and starts it again with the same
// arguments, so on the same ports and data.
func (p *Process) Restart() error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.start(context.Background())
}

// Stop sends SIGTERM, after ten seconds SIGKILL, and waits. A program that had
// ended by itself is an error; one that was killed or stopped before is not.
func (p *Process) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endLocked(syscall.SIGTERM)
}

// Kill ends the program as a crash would (SIGKILL) and waits.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endLocked(syscall.SIGKILL)
}

// Pause freezes the program (SIGSTOP): its connections stay open and nothing answers.
func (p *Process) Pause() error { return p.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

// Signal sends any signal.
func (p *Process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil || p.run.ended() {
		return fmt.Errorf("send %v to %s: it does not run", sig, p.o.Name)
	}
	return p.run.cmd.Process.Signal(sig)
}

// Err is nil while the program runs or after an end that was asked for, and an
// *ExitError once it has ended by itself.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errLocked()
}

func (p *Process) errLocked() error {
	if p.run == nil || !p.run.ended() || p.run.wanted {
		return nil
	}
	return &ExitError{Name: p.o.Name, LogPath: p.o.LogPath, Tail: tail(p.o.LogPath), Err: p.run.err}
}

func (p *Process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(p.o.LogPath), 0o755); err != nil {
		return fmt.Errorf("make folder for the log of %s: %w", p.o.Name, err)
	}
	r, err := launch(p.o)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.o.Name, err)
	}
	p.run = r
	if err := p.awaitReadyLocked(ctx); err != nil {
		p.endLocked(syscall.SIGKILL)
		return err
	}
	return nil
}

// launch starts the child on a thread of its own: Linux sends the parent-death
// signal when the *thread* that forked ends, and Go may end any other thread.
// https://github.com/golang/go/issues/27505
func launch(o Options) (*run, error) {
	log, err := os.OpenFile(o.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(o.Path, o.Args...)
	cmd.Env = append(os.Environ(), o.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	if o.Mirror != nil {
		w := io.MultiWriter(log, o.Mirror)
		cmd.Stdout, cmd.Stderr = w, w
	}
	cmd.SysProcAttr = childAttr()
	r := &run{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the child
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			r.err = cmd.Wait()
			close(r.exited)
		}
	}()
	return r, <-started
}

func (p *Process) awaitReadyLocked(ctx context.Context) error {
	if p.o.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := errors.New("not asked yet")
	for {
		select {
		case <-p.run.exited:
			return p.errLocked()
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to become ready: %w (last answer: %w); end of %s:\n%s",
				p.o.Name, ctx.Err(), last, p.o.LogPath, tail(p.o.LogPath))
		case <-tick.C:
			if last = p.o.Ready(ctx); last == nil {
				return nil
			}
		}
	}
}

func (p *Process) endLocked(sig syscall.Signal) error {
	r := p.run
	if r == nil {
		return nil
	}
	if r.ended() {
		return p.errLocked()
	}
	r.wanted = true
	// Errors mean that it ended meanwhile, which the wait below sees.
	_ = r.cmd.Process.Signal(sig)
	_ = r.cmd.Process.Signal(syscall.SIGCONT) // a paused program cannot react to SIGTERM
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-r.exited:
	case <-grace.C:
		_ = r.cmd.Process.Kill()
		<-r.exited
	}
	return nil
}

func (r *run) ended() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// tail is the end of a file; what cannot be read says why in its place.
func tail(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return []byte(err.Error())
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > logTailBytes {
		f.Seek(-logTailBytes, io.SeekEnd)
	}
	b, err := io.ReadAll(io.LimitReader(f, logTailBytes))
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

package leader

import (
	"context"
	"sync"
)

// office knows whether this process leads and runs what is to run then.
type office struct {
	mu      sync.Mutex
	term    *term         // nil while another one leads
	changed chan struct{} // closed when term changes
	closed  bool          // no term begins any more
}

// term is a time of leading without interruption.
type term struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newOffice() *office { return &office{changed: make(chan struct{})} }

// begin starts a term; it lasts until end, or ctx, is over.
func (o *office) begin(ctx context.Context) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || ctx.Err() != nil || o.term != nil {
		return false
	}
	t := &term{}
	t.ctx, t.cancel = context.WithCancel(ctx)
	o.change(t)
	return true
}

// end ends the term, if there is one, and waits until what ran in it has ended.
func (o *office) end() (ended bool) {
	o.mu.Lock()
	t := o.term
	if t != nil {
		o.change(nil)
	}
	o.mu.Unlock()
	if t == nil {
		return false
	}
	t.cancel()
	t.running.Wait()
	return true
}

// close ends the term for good.
func (o *office) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.end()
}

func (o *office) change(t *term) {
	o.term = t
	close(o.changed)
	o.changed = make(chan struct{})
}

// Lead runs f whenever this process leads, once in each term, until ctx ends.
// The context of f ends with the term. It returns after f did.
func (o *office) Lead(ctx context.Context, f func(ctx context.Context)) {
	var done *term
	for ctx.Err() == nil {
		t, changed := o.join(done)
		if t != nil {
			t.run(ctx, f)
			done = t
			continue
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// join adds one to those who run in the term, if there is one other than done.
func (o *office) join(done *term) (t *term, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.term == nil || o.term == done {
		return nil, o.changed
	}
	o.term.running.Add(1)
	return o.term, nil
}

// run runs f until the term or ctx is over.
func (t *term) run(ctx context.Context, f func(ctx context.Context)) {
	defer t.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	f(ctx)
}

package leader

import (
	"context"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

// quiet keeps client-go's own lines out of the log; watchedLock tells what
// matters of them.
func quiet(ctx context.Context) context.Context {
	return klog.NewContext(ctx, klog.Logger{})
}

// watchedLock counts and logs the errors of a lock.
type watchedLock struct {
	resourcelock.Interface
	candidate  *candidate
	complaints *complaint.Log
}

// Get reads the lease.
func (l *watchedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	if !apierrors.IsNotFound(err) { // the first candidate makes it
		l.note(ctx, "read", err)
	}
	return record, raw, err
}

// Create makes the lease.
func (l *watchedLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := time.Now()
	err := l.Interface.Create(ctx, record)
	if !apierrors.IsAlreadyExists(err) { // another one was faster
		l.note(ctx, "write", err)
	}
	if err == nil && record.HolderIdentity == l.Identity() { // else it was given back
		select {
		case l.candidate.renewed <- began:
		case <-ctx.Done():
		}
	}
	return err
}

// Update writes the lease.
func (l *watchedLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := time.Now()
	err := l.Interface.Update(ctx, record)
	if !apierrors.IsConflict(err) { // another one was faster
		l.note(ctx, "write", err)
	}
	if err == nil && record.HolderIdentity == l.Identity() { // else it was given back
		select {
		case l.candidate.renewed <- began:
		case <-ctx.Done():
		}
	}
	return err
}

func (l *watchedLock) note(ctx context.Context, operation string, err error) {
	if err == nil {
		l.complaints.Over(operation, "Lease can be read or written again", zap.String("lease", l.Describe()), zap.String("operation", operation))
		return
	}
	if ctx.Err() != nil && context.Cause(ctx) == context.Canceled {
		return
	}
	l.candidate.telemetry.failed()
	remedy := "check that the API server runs and that network policies let this program reach it"
	if apierrors.IsForbidden(err) {
		remedy = "grant the service account get, create and update on leases of coordination.k8s.io in this namespace"
	}
	l.complaints.Warn(operation, "Lease cannot be read or written: while that lasts, a leader ends its work and no other is found",
		zap.String("lease", l.Describe()), zap.String("operation", operation), zap.String("remedy", remedy), zap.Error(err))
}

package kubeevents

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/crowsnest-o11y/crowsnest/complaint"
	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

const (
	// versionAnnotation is where the Lease has the version up to which events
	// were sent.
	versionAnnotation = "crowsnest/events-resource-version"
	// saveInterval is how much of the newest events is sent again after a crash.
	saveInterval = 5 * time.Second
	// saveTimeout bounds a request; at the end of a term the next leader waits
	// for it.
	saveTimeout = 2 * time.Second
)

// progress remembers for the next leader up to where events were sent. A Lease
// carries it, since leaders have one already: the permission is the same.
type progress struct {
	leases coordination.LeaseInterface // nil: nothing is remembered
	name   string
	log    *complaint.Log
	saved  uint64
}

// load reads the progress, and tries until it can: without it events would be
// sent twice. 0 if there is none, or it may not be read.
func (p *progress) load(ctx context.Context) uint64 {
	if p.leases == nil {
		return 0
	}
	retry := kubeapi.Backoff{Min: time.Second, Max: 30 * time.Second}
	for ctx.Err() == nil {
		lease, err := p.get(ctx)
		switch {
		case err == nil:
			p.saved = version(lease)
			return p.saved
		case apierrors.IsNotFound(err):
			return 0
		}
		p.complain(ctx, fmt.Errorf("read lease %s: %w", p.name, err))
		if apierrors.IsForbidden(err) {
			return 0
		}
		kubeapi.Pause(ctx, retry.Next())
	}
	return 0
}

func (p *progress) get(ctx context.Context) (*coordinationv1.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, kubeapi.AnswerTimeout)
	defer cancel()
	return p.leases.Get(ctx, p.name, metav1.GetOptions{})
}

func version(lease *coordinationv1.Lease) uint64 {
	v, err := strconv.ParseUint(lease.Annotations[versionAnnotation], 10, 64)
	if err != nil {
		return 0 // as if nothing was sent: twice is better than never
	}
	return v
}

// run saves what sent tells until ctx ends.
func (p *progress) run(ctx context.Context, sent func() uint64) {
	for kubeapi.Pause(ctx, saveInterval) {
		p.save(ctx, sent())
	}
}

func (p *progress) save(ctx context.Context, sent uint64) {
	if p.leases == nil || sent == 0 || sent == p.saved {
		return
	}
	limited, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	if err := p.write(limited, sent); err != nil {
		p.complain(ctx, fmt.Errorf("write lease %s: %w", p.name, err))
		return
	}
	p.saved = sent
	p.log.Over("progress", "The progress of events can be kept again")
}

// write changes the Lease as it was read: if another leader changed it in
// between, the server refuses, and that one knows better.
func (p *progress) write(ctx context.Context, sent uint64) error {
	text := strconv.FormatUint(sent, 10)
	lease, err := p.leases.Get(ctx, p.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: p.name, Annotations: map[string]string{versionAnnotation: text}}}
		_, err = p.leases.Create(ctx, lease, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[versionAnnotation] = text
	now := metav1.NowMicro()
	lease.Spec.RenewTime = &now // for people who look
	_, err = p.leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

func (p *progress) complain(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	remedy := "check that the API server runs and that network policies let this program reach it"
	if apierrors.IsForbidden(err) {
		remedy = "grant the service account get, create and update on this lease of coordination.k8s.io"
	}
	p.log.Warn("progress", "It cannot be kept up to where events were sent: after a restart some are sent twice, which Loki drops unless they are older than an hour",
		zap.String("remedy", remedy), zap.Error(err))
}

package scrape

import (
	"context"
	"fmt"
	"sync"
)

// maxTargets bounds the targets of a receiver; each costs a goroutine and a
// connection. Kubernetes runs 110 pods on a node by default.
const maxTargets = 4096

// pool runs a scraper for each target. Of one goroutine.
type pool struct {
	env     *environment
	running sync.WaitGroup
	targets map[string]*running
	jobs    map[string]*job
	counted map[string]int
}

type running struct {
	scraper *scraper
	cancel  context.CancelCauseFunc
}

// cause says why the target is no more.
func (r *running) cause() error {
	if stays := r.scraper.wanted.Load().job.stays; stays != nil && stays() {
		return context.Canceled
	}
	return errGone
}

func newPool(env *environment) *pool {
	return &pool{env: env, targets: map[string]*running{}, jobs: map[string]*job{}, counted: map[string]int{}}
}

// sync makes the wanted targets those that are scraped. ctx ends all.
func (p *pool) sync(ctx context.Context, wanted []*target) {
	keep := make(map[string]bool, len(wanted))
	jobs := map[string]*job{}
	perJob := map[string]int{}
	for _, t := range wanted {
		perJob[t.job.id]++
	}
	for _, t := range wanted {
		if keep[t.key] {
			continue // the same page by two ways
		}
		if len(keep) == maxTargets {
			p.env.telemetry.refuse(t.job.source, "target_limit", 1)
			continue
		}
		own := *t // a scraper may be reading the one of the last time
		p.adopt(&own, jobs)
		if limit := own.job.targetLimit; limit > 0 && perJob[own.job.id] > limit {
			own.err = &failure{outcomeTargetLimit, fmt.Errorf("monitor has %d targets on this node, its limit is %d", perJob[own.job.id], limit), "raise targetLimit"}
		}
		keep[t.key] = true
		p.put(ctx, &own)
	}
	for key, r := range p.targets {
		if !keep[key] {
			r.cancel(r.cause())
			delete(p.targets, key)
		}
	}
	p.retire(jobs)
	p.tell()
}

// adopt gives the target the job that is open already, or opens its own. A job
// that does not open (a file is missing) makes its targets fail.
func (p *pool) adopt(t *target, jobs map[string]*job) {
	j := jobs[t.job.id]
	if j == nil {
		if j = p.jobs[t.job.id]; j == nil || j.version != t.job.version || j.client == nil {
			fresh := *t.job
			j = &fresh
			if err := j.open(); err != nil {
				j.err = &failure{outcomeCredentials, err, "check that the files are mounted and readable; tried again each minute"}
			}
		}
		jobs[j.id] = j
	}
	t.job, t.err = j, j.err
}

// complete says whether all jobs are open.
func (p *pool) complete() bool {
	for _, j := range p.jobs {
		if j.client == nil {
			return false
		}
	}
	return true
}

func (p *pool) put(ctx context.Context, t *target) {
	if r := p.targets[t.key]; r != nil {
		if is := r.scraper.wanted.Load(); is.job != t.job || is.err != t.err {
			r.scraper.want(t)
		}
		return
	}
	scraping, cancel := context.WithCancelCause(ctx)
	r := &running{newScraper(p.env, t), cancel}
	p.targets[t.key] = r
	p.running.Go(func() {
		defer cancel(nil)
		r.scraper.run(scraping)
	})
}

// retire closes the idle connections of jobs that are replaced or gone.
func (p *pool) retire(now map[string]*job) {
	for id, j := range p.jobs {
		if now[id] != j {
			j.close()
		}
	}
	p.jobs = now
}

// tell counts the targets by source, those that have none any more too.
func (p *pool) tell() {
	for source := range p.counted {
		p.counted[source] = 0
	}
	for _, r := range p.targets {
		p.counted[r.scraper.wanted.Load().job.source]++
	}
	p.env.telemetry.count(p.counted)
}

// stop waits for the scrapers, whose context has ended.
func (p *pool) stop() {
	p.running.Wait()
	for _, j := range p.jobs {
		j.close()
	}
}

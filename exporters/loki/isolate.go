package loki

import (
	"math"
)

// explain decides what becomes of the runs of a push that Loki refused: it
// settles the entries that the answer condemns and returns the others as
// pieces to push again.
//
// Loki stores the valid entries of a push that it answers 400, and drops those
// that come again, so pushing a rest once more makes nothing double; it is done
// because only a 2xx is an acknowledgement.
func (x *logsExporter) explain(tenant string, runs []run, p piece, r refusal, t *tally) []piece {
	byLimit := r.reason != reasonTooFarBehind && (r.tooOld > 0 || r.tooNew < math.MaxInt64 || r.lineBytes > 0)
	switch {
	case byLimit:
		if next, ok := x.applyLimits(tenant, runs, p, r, t); ok {
			return next
		}
	case len(runs) == 1 && r.wholeStream:
		x.drop(tenant, runs[0], r.reason, r.text, t)
		return nil
	case len(runs) == 1 && r.behind > 0 && r.of == len(runs[0].entries):
		return x.cutBehind(tenant, runs[0], p, r, t)
	}
	if len(runs) > 1 {
		return x.separate(runs, p)
	}
	return x.halve(tenant, runs[0], p, r, t)
}

// applyLimits settles the entries beyond the limits that the distributor told.
// They hold for all streams of the tenant, and the distributor checks them
// before the ingesters, whose errors would take precedence: the rest is stored.
func (x *logsExporter) applyLimits(tenant string, runs []run, p piece, r refusal, t *tally) (next []piece, ok bool) {
	rest := piece{limits: p.limits, stored: true}
	long := piece{limits: p.limits}
	long.lineBytes = min(p.lineBytes, r.lineBytes)
	for _, run := range runs {
		var good, old, ahead, overlong []entry
		for _, e := range run.entries {
			switch {
			case e.timestamp < r.tooOld:
				old = append(old, e)
			case e.timestamp >= r.tooNew:
				ahead = append(ahead, e)
			case r.lineBytes > 0 && r.lineBytes < p.lineBytes && len(text(e.record.Body())) > r.lineBytes:
				overlong = append(overlong, e)
			default:
				good = append(good, e)
			}
		}
		ok = ok || len(good) < len(run.entries)
		x.drop(tenant, run.with(old), reasonTooOld, r.text, t)
		x.drop(tenant, run.with(ahead), reasonTooNew, r.text, t)
		rest.add(run.with(good))
		long.add(run.with(overlong))
	}
	for _, p := range []piece{rest, long} {
		if len(p.runs) > 0 {
			next = append(next, p)
		}
	}
	return next, ok
}

func (r run) with(entries []entry) run { return run{r.stream, entries} }

func (p *piece) add(r run) {
	if len(r.entries) > 0 {
		p.runs = append(p.runs, r)
	}
}

// cutBehind settles the entries that the ingester counted as too far behind
// the newest of their stream: the first ones, as entries go in time order and
// none falls behind because of an older one.
func (x *logsExporter) cutBehind(tenant string, ru run, p piece, r refusal, t *tally) []piece {
	behind, rest := ru.with(ru.entries[:r.behind]), ru.entries[r.behind:]
	if p.stored {
		t.delivered += len(behind.entries)
	} else {
		x.drop(tenant, behind, r.reason, r.text, t)
	}
	if len(rest) == 0 {
		return nil
	}
	return []piece{{runs: []run{ru.with(rest)}, limits: p.limits, stored: true}}
}

// separate makes a piece of each run, since an answer is only exact for a push
// of one stream.
func (x *logsExporter) separate(runs []run, p piece) []piece {
	pieces := make([]piece, len(runs))
	for i, r := range runs {
		x.known.forget(r.stream.key)
		pieces[i] = piece{runs: []run{r}, limits: p.limits, stored: p.stored}
	}
	return pieces
}

// halve bisects a run whose refusal does not tell which entries it means, down
// to the single one, which is dropped. One that only its metadata condemns is
// tried without.
func (x *logsExporter) halve(tenant string, ru run, p piece, r refusal, t *tally) []piece {
	if len(ru.entries) > 1 {
		x.telemetry.bisected()
		return split([]run{ru}, p)
	}
	p.runs = []run{ru}
	switch {
	case r.reason == reasonMetadata && !p.bare:
		p.bare = true
		return []piece{p}
	case r.reason == reasonTooFarBehind && p.stored:
		t.delivered++
	default:
		x.drop(tenant, ru, r.reason, r.text, t)
	}
	return nil
}

// split makes two pieces of runs with two entries or more.
func split(runs []run, p piece) []piece {
	first, second := p, p
	if n := len(runs); n > 1 {
		first.runs, second.runs = runs[:n/2], runs[n/2:]
	} else {
		r := runs[0]
		n := len(r.entries) / 2
		first.runs, second.runs = []run{r.with(r.entries[:n])}, []run{r.with(r.entries[n:])}
	}
	return []piece{first, second}
}

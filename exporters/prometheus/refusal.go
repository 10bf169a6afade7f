package prometheus

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// isolate finds out which of the points of a refused request the receiver does
// not take, and sees that it has the others.
func (s *shard) isolate(ctx context.Context, points []*point, a answer) error {
	if allDerived(points) {
		// Such as stale markers of series that meanwhile go on through another
		// aggregator: a refusal of those is right, and no reason to search.
		return nil
	}
	if s.protocol == ProtocolV1 && len(points) > 1 && !s.noV2 {
		if told := s.ask(ctx, points); told.confirmed {
			a = told
		}
	}
	if a.confirmed {
		s.settle(points, a)
		return nil
	}
	return s.search(ctx, points, a)
}

func allDerived(points []*point) bool {
	return !slices.ContainsFunc(points, func(p *point) bool { return !p.derived })
}

// ask sends a refused v1 request once by v2. Prometheus takes nothing of a v1
// request of which it refuses one sample, and does not tell which one that is;
// of a v2 request it takes the good samples and names the others. Most receivers
// know both, and one that does not makes no harm: to v1 the message is empty.
func (s *shard) ask(ctx context.Context, points []*point) answer {
	a := s.client.send(ctx, ProtocolV2, s.encode(ProtocolV2, points, nil), 0)
	s.tel.request(a)
	switch {
	case a.confirmed && a.verdict == accepted:
		// What refused them before does not any more.
	case a.confirmed && a.verdict == refused:
	default:
		a.confirmed = false
		// Without an answer, or with one that does not look at the data, nothing
		// was learnt about the receiver.
		s.noV2 = a.status != 0 && a.status/100 != 5 && a.status != http.StatusTooManyRequests
	}
	return a
}

// settle marks what a receiver that tells how much it took did not take: the
// series that its text names, and as many more as are missing.
func (s *shard) settle(points []*point, a answer) {
	missing := countSeries(points) - a.written
	s.tel.sent(min(a.written, countSeries(points)))
	if missing <= 0 {
		// An exemplar alone can make an answer a refusal.
		s.tel.exemplarsDropped(strings.Count(a.text, "exemplar for series"))
		return
	}
	named := refusedSeries(a.text)
	for _, p := range points {
		if missing <= 0 {
			return
		}
		if reason, n := namedReason(p, named); n > 0 {
			missing -= n
			s.refuse(p, reason, n, a)
		}
	}
	for _, p := range points {
		if missing <= 0 {
			return
		}
		if n := min(missing, p.seriesCount()); p.refused == "" {
			missing -= n
			s.refuse(p, a.reason(), n, a)
		}
	}
}

// refusedSeries reads Prometheus's text: a line "<cause> for series {labels}"
// for each sample it refused.
func refusedSeries(text string) map[string]string {
	named := make(map[string]string)
	for line := range strings.Lines(text) {
		cause, series, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " for series {")
		if ok && !strings.Contains(cause, "exemplar") {
			named["{"+series] = reasonOf(cause)
		}
	}
	return named
}

// namedReason tells why some of a point's series were refused, and how many.
func namedReason(p *point, named map[string]string) (reason string, series int) {
	if len(named) == 0 {
		return "", 0
	}
	p.expand(func(s *sample) {
		if r, ok := named[p.seriesLabels(s).String()]; ok {
			reason = r
			series++
		}
	})
	return reason, series
}

func (s *shard) refuse(p *point, reason string, series int, a answer) {
	p.refused = reason
	if !p.derived {
		s.tel.refusedPoint(s.client.endpoint, p, series, a)
	}
}

// search finds refused points by sending fewer at a time: half after a refusal,
// twice as many after a success. One refused point costs about two requests for
// each halving; where all are refused, one for each point.
func (s *shard) search(ctx context.Context, points []*point, a answer) error {
	for n := len(points) / 2; len(points) > 0; {
		n = max(1, min(n, len(points)))
		var err error
		if len(points) > 1 || a.verdict != refused {
			if a, err = s.persist(ctx, points[:n], nil); err != nil {
				return err
			}
		}
		switch {
		case a.verdict == accepted:
			s.tel.sent(countSeries(points[:n]))
			points, n = points[n:], 2*n
		case n > 1:
			n /= 2
		default:
			if err := s.refuseOne(ctx, points[0], a); err != nil {
				return err
			}
			points, a = points[1:], answer{}
		}
	}
	return nil
}

// refuseOne ends a search at one point. A receiver may refuse a sample for its
// exemplars; it is tried once more without.
func (s *shard) refuseOne(ctx context.Context, p *point, a answer) error {
	if n := len(p.exemplars()); n > 0 {
		s.tel.exemplarsDropped(n)
		without := *p.detail
		without.exemplars = nil
		p.detail = &without
		return s.deliver(ctx, []*point{p}, nil)
	}
	s.refuse(p, a.reason(), p.seriesCount(), a)
	return nil
}

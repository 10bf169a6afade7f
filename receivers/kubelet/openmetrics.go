package kubelet

import (
	"errors"
	"io"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/textparse"
)

// parseOpenMetrics reads a page in the OpenMetrics text format. Its _created
// lines are read as series: the parser's own StartTimestamp looks for them
// ahead of every sample, which takes quadratic time for a family without.
func (p *page) parseOpenMetrics(body []byte) error {
	parser := textparse.NewOpenMetricsParser(body, nil)
	for pos := 0; ; {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return p.errorAt(body, pos, err)
		}
		read, err := p.take(parser, entry)
		if err != nil {
			return p.errorAt(body, pos, err)
		}
		if entry == textparse.EntrySeries {
			pos = cap(body) - cap(read) + len(read)
		}
	}
}

// exemplarsOf gives the exemplars of the line just parsed.
func exemplarsOf(parser textparse.Parser) []exemplar.Exemplar {
	var found []exemplar.Exemplar
	for e := (exemplar.Exemplar{}); parser.Exemplar(&e); e = (exemplar.Exemplar{}) {
		found = append(found, e)
	}
	return found
}

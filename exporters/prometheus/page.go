package prometheus

import (
	"compress/flate"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	pagePath = "/metrics"
	// maxScrapes at once; more get 503.
	maxScrapes = 8
	// chunkEntries are written while the table is locked once.
	chunkEntries = 256
	// chunkBytes are handed to the network at once.
	chunkBytes = 64 << 10
)

// page serves the table. It is written by this package and not by client_golang's
// registry, which builds all of a page in memory and checks each series at every
// scrape: the table's label sets are unique and valid as they are. What a scrape
// holds is a buffer, and the list of the family that it is at.
type page struct {
	table *table
	tel   *telemetry
	slots chan struct{}
}

func newPage(t *table, tel *telemetry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+pagePath, &page{table: t, tel: tel, slots: make(chan struct{}, maxScrapes)})
	return mux
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	default:
		p.tel.scraped("refused")
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many scrapes at once, try again", http.StatusServiceUnavailable)
		return
	}
	//lint:ignore SA1019 promhttp negotiates by this function, too
	format := expfmt.NegotiateIncludingOpenMetrics(r.Header)
	w.Header().Set("Content-Type", string(format))
	w.Header().Set("Vary", "Accept, Accept-Encoding")
	out, finish := compressed(w, r)
	err := p.write(out, newWriterOf(format))
	if err == nil {
		err = finish()
	}
	if err != nil {
		p.tel.scraped("aborted") // the client is gone, and with it who could be told
		return
	}
	p.tel.scraped("complete")
}

// compressed answers as the client asks.
func compressed(w http.ResponseWriter, r *http.Request) (out io.Writer, finish func() error) {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name != "gzip" || strings.Trim(strings.TrimSpace(weight), "q=0.") == "" && weight != "" {
			continue
		}
		w.Header().Set("Content-Encoding", "gzip")
		zip, err := gzip.NewWriterLevel(w, flate.BestSpeed)
		if err != nil {
			break // the level is a good one
		}
		return zip, zip.Close
	}
	return w, func() error { return nil }
}

// formatter writes families in one of the page's formats.
type formatter interface {
	// begin starts a family, or goes on with one after a chunk.
	begin(to []byte, f *family, first bool) []byte
	add(to []byte, f *family, e *entry, s *symbols) []byte
	// end ends what begin began.
	end(to []byte) []byte
	// close ends the page.
	close(to []byte) []byte
}

func newWriterOf(format expfmt.Format) formatter {
	escaping := format.ToEscapingScheme()
	switch format.FormatType() {
	case expfmt.TypeProtoDelim:
		return &protoPage{escaping: escaping}
	case expfmt.TypeOpenMetrics:
		return &textPage{escaping: escaping, openMetrics: true}
	default:
		return &textPage{escaping: escaping}
	}
}

// write writes all families in the order of their names.
func (p *page) write(w io.Writer, f formatter) error {
	buffer := make([]byte, 0, 2*chunkBytes)
	var entries []*entry
	for _, name := range p.table.familyNames() {
		var described *family
		described, entries = p.table.listFamily(name, entries[:0])
		first := true
		for rest := entries; len(rest) > 0; {
			n := min(chunkEntries, len(rest))
			var any bool
			buffer, any = p.table.appendChunk(buffer, f, described, rest[:n], first)
			first = first && !any
			rest = rest[n:]
			if len(buffer) < chunkBytes {
				continue
			}
			if _, err := w.Write(buffer); err != nil {
				return err
			}
			buffer = buffer[:0]
		}
	}
	_, err := w.Write(f.close(buffer))
	return err
}

// listFamily copies the list of a family's entries, so that those that come and
// go meanwhile do not let others be left out or shown twice.
func (t *table) listFamily(name string, to []*entry) (*family, []*entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.families[name]
	if f == nil {
		return nil, nil
	}
	return &f.family, append(to, f.entries...)
}

// appendChunk writes those of the entries that are alive.
func (t *table) appendChunk(to []byte, w formatter, f *family, entries []*entry, first bool) ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	any := false
	for _, e := range entries {
		if e.stale || e.family == nil {
			continue
		}
		if !any {
			to = w.begin(to, f, first)
			any = true
		}
		to = w.add(to, f, e, &t.symbols)
	}
	if any {
		to = w.end(to)
	}
	return to, any
}

// escaped is a name as the client wants it.
func escaped(name string, form symbolForm, scheme model.EscapingScheme) string {
	if form&notLegacy == 0 || scheme == model.NoEscaping {
		return name
	}
	return model.EscapeName(name, scheme)
}

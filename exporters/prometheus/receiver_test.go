package prometheus

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// receiver is a remote write endpoint that fails on demand, which a real
// Prometheus does not.
type receiver struct {
	*httptest.Server
	// answer decides about a request by its samples ("series value @ms") before
	// they are taken; nil is 204.
	answer func(w http.ResponseWriter, r *http.Request, samples []string) (handled bool)

	mu       sync.Mutex
	requests [][]string // all, taken or not
	taken    []string
	metadata []prompb.MetricMetadata
	headers  http.Header
	inFlight map[string]bool // series that are being sent now
	overlaps []string        // series that were in two requests at once
}

func newReceiver(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, samples []string) bool) *receiver {
	r := &receiver{answer: answer, inFlight: map[string]bool{}}
	r.Server = httptest.NewServer(r)
	r.URL += "/api/v1/write"
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	samples, metadata, err := decodeRequest(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	r.begin(samples, req.Header)
	defer r.end(samples)
	if r.answer != nil && r.answer(w, req, samples) {
		return
	}
	r.mu.Lock()
	r.taken = append(r.taken, samples...)
	r.metadata = append(r.metadata, metadata...)
	r.mu.Unlock()
	w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(len(samples)))
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) begin(samples []string, headers http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, samples)
	r.headers = headers
	for _, s := range samples {
		name, _, _ := strings.Cut(s, "} ")
		if r.inFlight[name] {
			r.overlaps = append(r.overlaps, name)
		}
		r.inFlight[name] = true
	}
}

func (r *receiver) end(samples []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range samples {
		name, _, _ := strings.Cut(s, "} ")
		delete(r.inFlight, name)
	}
}

func (r *receiver) requestCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.requests)
}

func (r *receiver) takenSamples() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.taken...)
}

func decodeRequest(req *http.Request) ([]string, []prompb.MetricMetadata, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, nil, err
	}
	if body, err = snappy.Decode(nil, body); err != nil {
		return nil, nil, err
	}
	if strings.Contains(req.Header.Get("Content-Type"), "io.prometheus.write.v2.Request") {
		return decodeV2(body)
	}
	var w prompb.WriteRequest
	if err := w.Unmarshal(body); err != nil {
		return nil, nil, err
	}
	var samples []string
	for _, ts := range w.Timeseries {
		for _, s := range ts.Samples {
			samples = append(samples, fmt.Sprintf("%s %v @%d", renderLabels(fromWire(ts.Labels)), s.Value, s.Timestamp))
		}
	}
	return samples, w.Metadata, nil
}

func decodeV2(body []byte) ([]string, []prompb.MetricMetadata, error) {
	var w writev2.Request
	if err := w.Unmarshal(body); err != nil {
		return nil, nil, err
	}
	var samples []string
	var metadata []prompb.MetricMetadata
	for _, ts := range w.Timeseries {
		var ls []label
		for i := 0; i < len(ts.LabelsRefs); i += 2 {
			ls = append(ls, label{Name: w.Symbols[ts.LabelsRefs[i]], Value: w.Symbols[ts.LabelsRefs[i+1]]})
		}
		for _, s := range ts.Samples {
			samples = append(samples, fmt.Sprintf("%s %v @%d", renderLabels(ls), s.Value, s.Timestamp))
		}
		metadata = append(metadata, prompb.MetricMetadata{
			Type: prompb.MetricMetadata_MetricType(ts.Metadata.Type), Help: w.Symbols[ts.Metadata.HelpRef], Unit: w.Symbols[ts.Metadata.UnitRef],
		})
	}
	return samples, metadata, nil
}

func fromWire(from []prompb.Label) []label {
	var out []label
	for _, l := range from {
		out = append(out, label{l.Name, l.Value})
	}
	return out
}

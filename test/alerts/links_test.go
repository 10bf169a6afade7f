//go:build e2e

package alerts

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// links is how many of each kind are followed.
const links = 100

// sources is the file by which Grafana knows its data sources, as far as its
// links go.
type sources struct {
	DataSources []struct {
		UID      string   `yaml:"uid"`
		Type     string   `yaml:"type"`
		JSONData settings `yaml:"jsonData"`
	} `yaml:"datasources"`
}

type settings struct {
	ExemplarTraceIDDestinations []struct {
		Name          string `yaml:"name"`
		DatasourceUID string `yaml:"datasourceUid"`
	} `yaml:"exemplarTraceIdDestinations"`
	DerivedFields []struct {
		MatcherType   string `yaml:"matcherType"`
		MatcherRegex  string `yaml:"matcherRegex"`
		URL           string `yaml:"url"`
		DatasourceUID string `yaml:"datasourceUid"`
	} `yaml:"derivedFields"`
	TracesToLogs struct {
		DatasourceUID string `yaml:"datasourceUid"`
		CustomQuery   bool   `yaml:"customQuery"`
		Query         string `yaml:"query"`
		Tags          []struct {
			Key   string `yaml:"key"`
			Value string `yaml:"value"`
		} `yaml:"tags"`
		Start string `yaml:"spanStartTimeShift"`
		End   string `yaml:"spanEndTimeShift"`
	} `yaml:"tracesToLogsV2"`
}

func readSources(t *testing.T) sources {
	t.Helper()
	text, err := os.ReadFile(root + "/dashboards/provisioning/datasources.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var s sources
	// Grafana fills in environment variables, and takes $$ for a $.
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(string(text), "$$", "$")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// of is the settings of the data source of a type, and its uid.
func (s sources) of(t *testing.T, kind string) (string, settings) {
	t.Helper()
	for _, d := range s.DataSources {
		if d.Type == kind {
			return d.UID, d.JSONData
		}
	}
	t.Fatalf("no data source of type %s", kind)
	return "", settings{}
}

// leadsTo fails unless the link's data source is the one of that type.
func (s sources) leadsTo(t *testing.T, uid, kind string) {
	t.Helper()
	if want, _ := s.of(t, kind); uid != want {
		t.Fatalf("the link leads to data source %q, want %q", uid, want)
	}
}

// openTrace sends what Grafana's Jaeger data source sends for a trace id.
func (in *installation) openTrace(ctx context.Context, id string) error {
	trace, err := in.jaeger.Trace(ctx, id)
	if err == nil && (trace == nil || len(trace.Spans) == 0) {
		err = errors.New("Jaeger does not have it")
	}
	if err != nil {
		return fmt.Errorf("trace %s: %w", id, err)
	}
	return nil
}

// followed counts what was found, which must be all.
func followed(t *testing.T, resolved, all int) {
	t.Helper()
	t.Logf("%d of %d resolve", resolved, all)
	if all != links || resolved != all {
		t.Errorf("%d of %d resolve, want %d of %d", resolved, all, links, links)
	}
}

// checkExemplars follows those of the latency of all services.
func (in *installation) checkExemplars(t *testing.T, s sources) {
	_, settings := s.of(t, "prometheus")
	if len(settings.ExemplarTraceIDDestinations) != 1 {
		t.Fatalf("destinations of exemplars: %+v", settings.ExemplarTraceIDDestinations)
	}
	destination := settings.ExemplarTraceIDDestinations[0]
	s.leadsTo(t, destination.DatasourceUID, "jaeger")
	exemplars := map[string]string{} // the trace that each leads to, by its span
	eventually(t, "exemplars", func(ctx context.Context) error {
		var answer struct {
			Data []struct {
				Exemplars []struct{ Labels map[string]string }
			}
		}
		err := in.prometheus.Get(ctx, "/api/v1/query_exemplars", url.Values{
			"query": {"traces_span_metrics_duration_milliseconds_bucket"}, "start": {unix(in.start)}, "end": {unix(time.Now().Add(-10 * time.Second))}}, &answer)
		for _, series := range answer.Data {
			for _, exemplar := range series.Exemplars {
				if len(exemplars) < links {
					exemplars[exemplar.Labels["span_id"]] = exemplar.Labels[destination.Name]
				}
			}
		}
		if err == nil && len(exemplars) < links {
			err = fmt.Errorf("%d so far", len(exemplars))
		}
		return err
	})
	resolved := 0
	for _, id := range exemplars {
		if err := in.openTrace(t.Context(), id); err != nil {
			t.Error(err)
			continue
		}
		resolved++
	}
	followed(t, resolved, len(exemplars))
}

func unix(at time.Time) string { return strconv.FormatFloat(float64(at.UnixMilli())/1e3, 'f', 3, 64) }

// checkSpans follows server spans: each of them logged a line with its trace id.
func (in *installation) checkSpans(t *testing.T, s sources) {
	_, settings := s.of(t, "jaeger")
	s.leadsTo(t, settings.TracesToLogs.DatasourceUID, "loki")
	if !settings.TracesToLogs.CustomQuery {
		t.Fatal("the query is not our own")
	}
	resolved, all := 0, 0
	for _, service := range []string{"frontend", "checkout", "payment"} {
		traces, err := in.jaeger.Traces(t.Context(), service, in.start, time.Now().Add(-10*time.Second), links)
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range traces {
			for _, span := range trace.Spans {
				if trace.Processes[span.ProcessID].ServiceName != service || text(span.Tags, "span.kind") == "client" || all == links {
					continue
				}
				all++
				if err := in.followSpan(t.Context(), settings, span, trace.Processes[span.ProcessID]); err != nil {
					t.Errorf("span %s of %s: %v", span.OperationName, service, err)
					continue
				}
				resolved++
			}
			if all >= links*(1+indexOf(service))/3 {
				break // some of each
			}
		}
	}
	followed(t, resolved, all)
}

func indexOf(service string) int {
	return map[string]int{"frontend": 0, "checkout": 1, "payment": 2}[service]
}

func text(tags []stores.Tag, key string) string {
	for _, tag := range tags {
		if tag.Key == key {
			return fmt.Sprint(tag.Value)
		}
	}
	return ""
}

// followSpan sends the query that the span's link to logs makes.
func (in *installation) followSpan(ctx context.Context, settings settings, span stores.Span, process stores.Process) error {
	link := settings.TracesToLogs
	var matchers []string
	for _, tag := range link.Tags {
		value := text(span.Tags, tag.Key)
		if value == "" {
			value = process.Tag(tag.Key)
		}
		if value != "" {
			matchers = append(matchers, fmt.Sprintf("%s=%q", tag.Value, value))
		}
	}
	query := strings.NewReplacer("${__tags}", strings.Join(matchers, ", "), "${__span.traceId}", span.TraceID).Replace(link.Query)
	before, err := time.ParseDuration(link.Start)
	if err != nil {
		return err
	}
	after, err := time.ParseDuration(link.End)
	if err != nil {
		return err
	}
	begin := time.UnixMicro(span.StartTime)
	lines, err := in.loki.Query(ctx, query, begin.Add(before), begin.Add(time.Duration(span.Duration)*time.Microsecond).Add(after), 1000)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	for _, line := range lines {
		if strings.TrimLeft(line.Metadata["trace_id"], "0") == strings.TrimLeft(span.TraceID, "0") && line.Labels["pod"] == process.Tag("k8s.pod.name") {
			return nil
		}
	}
	return fmt.Errorf("%s: %d lines, none of the span's", query, len(lines))
}

// checkLines follows lines that have a trace id.
func (in *installation) checkLines(t *testing.T, s sources) {
	_, settings := s.of(t, "loki")
	if len(settings.DerivedFields) != 1 || settings.DerivedFields[0].MatcherType != "label" {
		t.Fatalf("derived fields: %+v", settings.DerivedFields)
	}
	field := settings.DerivedFields[0]
	s.leadsTo(t, field.DatasourceUID, "jaeger")
	matcher := regexp.MustCompile(field.MatcherRegex)
	lines, err := in.loki.Query(t.Context(), `{namespace="`+shop+`"} | trace_id!=""`, in.start, time.Now().Add(-10*time.Second), links)
	if err != nil {
		t.Fatal(err)
	}
	resolved := 0
	for _, line := range lines {
		id := ""
		for _, labels := range []map[string]string{line.Labels, line.Metadata} {
			for name, value := range labels {
				if matcher.MatchString(name) {
					id = strings.ReplaceAll(field.URL, "${__value.raw}", value)
				}
			}
		}
		if err := in.openTrace(t.Context(), id); err != nil {
			t.Errorf("line %q: %v", line.Line, err)
			continue
		}
		resolved++
	}
	followed(t, resolved, len(lines))
}

package pipeline

import (
	"context"
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/confmap"
)

// fragments holds the default configuration: a folder for each program, with
// base.yaml (what every signal shares) and one file for each signal.
//
//go:embed agent/*.yaml aggregator/*.yaml
var fragments embed.FS

const embeddedScheme = "embedded"

// builtOn are the fragments whose components a fragment uses: they are merged
// below it, so that it, too, runs alone.
var builtOn = map[string][]string{
	"aggregator/spanmetrics": {"aggregator/metrics", "aggregator/traces"},
}

// fragmentProvider serves "embedded:<program>/<signal>": the program's
// base.yaml, the fragments that the named one is built on and itself, merged in
// this order, so that each fragment runs alone and several of them merge into one configuration.
type fragmentProvider struct{}

func newFragmentProvider() confmap.ProviderFactory {
	return confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider {
		return fragmentProvider{}
	})
}

func (fragmentProvider) Scheme() string { return embeddedScheme }

func (fragmentProvider) Shutdown(context.Context) error { return nil }

func (fragmentProvider) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	name, ok := strings.CutPrefix(uri, embeddedScheme+":")
	if !ok {
		return nil, fmt.Errorf("retrieve %q: the scheme is not %q", uri, embeddedScheme)
	}
	if !slices.Contains(fragmentNames(), name) {
		return nil, fmt.Errorf("retrieve %q: no such fragment; there are: %s", uri, strings.Join(fragmentNames(), ", "))
	}
	merged := confmap.New()
	parts := slices.Concat([]string{path.Dir(name) + "/base"}, builtOn[name], []string{name})
	for _, file := range parts {
		part, err := readFragment(file + ".yaml")
		if err != nil {
			return nil, err
		}
		if err := merged.Merge(part); err != nil {
			return nil, fmt.Errorf("merge embedded %s: %w", file, err)
		}
	}
	return confmap.NewRetrieved(merged.ToStringMap())
}

func readFragment(file string) (*confmap.Conf, error) {
	text, err := fragments.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read embedded %s: %w", file, err)
	}
	retrieved, err := confmap.NewRetrievedFromYAML(text)
	if err != nil {
		return nil, fmt.Errorf("parse embedded %s: %w", file, err)
	}
	conf, err := retrieved.AsConf()
	if err != nil {
		return nil, fmt.Errorf("parse embedded %s: %w", file, err)
	}
	return conf, nil
}

// fragmentNames lists what can follow "embedded:", such as "agent/logs".
func fragmentNames() []string {
	var names []string
	for _, program := range []string{"agent", "aggregator"} {
		entries, err := fragments.ReadDir(program)
		if err != nil {
			panic("BUG: embedded folder " + program + ": " + err.Error())
		}
		for _, e := range entries {
			if signal := strings.TrimSuffix(e.Name(), ".yaml"); signal != "base" {
				names = append(names, program+"/"+signal)
			}
		}
	}
	return names
}

package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/confmap"
)

// Fragments is the default configuration of a program: base.yaml, which all
// share, and one file for each signal or source.
type Fragments struct {
	// Name is that of the program's folder, as in "embedded:agent/logs".
	Name  string
	Files fs.FS
	// BuiltOn are the fragments whose components a fragment uses: they are
	// merged below it, so that it, too, runs alone.
	BuiltOn map[string][]string
}

const embeddedScheme = "embedded"

// fragmentProvider serves "embedded:<program>/<fragment>": the program's
// base.yaml, the fragments that the named one is built on and itself, merged in
// this order, so that each fragment runs alone and several of them merge into
// one configuration.
type fragmentProvider struct{ fragments Fragments }

func newFragmentProvider(f Fragments) confmap.ProviderFactory {
	return confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider {
		return fragmentProvider{f}
	})
}

func (fragmentProvider) Scheme() string { return embeddedScheme }

func (fragmentProvider) Shutdown(context.Context) error { return nil }

func (p fragmentProvider) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	name, ok := strings.CutPrefix(uri, embeddedScheme+":")
	if !ok {
		return nil, fmt.Errorf("retrieve %q: the scheme is not %q", uri, embeddedScheme)
	}
	names := p.fragments.Names()
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("retrieve %q: no such fragment; there are: %s", uri, strings.Join(names, ", "))
	}
	merged := confmap.New()
	name = path.Base(name)
	for _, part := range slices.Concat([]string{baseFragment}, p.fragments.BuiltOn[name], []string{name}) {
		conf, err := p.fragments.read(part)
		if err != nil {
			return nil, err
		}
		if err := merged.Merge(conf); err != nil {
			return nil, fmt.Errorf("merge embedded %s: %w", part, err)
		}
	}
	return confmap.NewRetrieved(merged.ToStringMap())
}

const (
	baseFragment = "base"
	fragmentFile = ".yaml"
)

func (f Fragments) read(name string) (*confmap.Conf, error) {
	text, err := fs.ReadFile(f.Files, name+fragmentFile)
	if err != nil {
		return nil, fmt.Errorf("read embedded %s: %w", name, err)
	}
	retrieved, err := confmap.NewRetrievedFromYAML(text)
	if err != nil {
		return nil, fmt.Errorf("parse embedded %s: %w", name, err)
	}
	conf, err := retrieved.AsConf()
	if err != nil {
		return nil, fmt.Errorf("parse embedded %s: %w", name, err)
	}
	return conf, nil
}

// Names lists what can follow "embedded:", such as "agent/logs".
func (f Fragments) Names() []string {
	files, err := fs.Glob(f.Files, "*"+fragmentFile)
	if err != nil {
		panic("BUG: list embedded files: " + err.Error())
	}
	var names []string
	for _, file := range files {
		if name := strings.TrimSuffix(file, fragmentFile); name != baseFragment {
			names = append(names, f.Name+"/"+name)
		}
	}
	return names
}

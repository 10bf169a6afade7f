package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"sigs.k8s.io/yaml"

	"github.com/crowsnest-o11y/crowsnest/deploy/images/oci"
	"github.com/crowsnest-o11y/crowsnest/test/stores"
)

// storeImage is as the official image is in all that a chart depends on.
type storeImage struct {
	store      string // also the key below the chart's quickstart
	entrypoint string
	uid, gid   int
	data       string // folder of the store's own
	ports      []string
}

var storeImages = []storeImage{
	{store: "prometheus", entrypoint: "/bin/prometheus", uid: 65534, gid: 65534, data: "/prometheus",
		ports: []string{"9090/tcp"}},
	{store: "loki", entrypoint: "/usr/bin/loki", uid: 10001, gid: 10001, data: "/loki",
		ports: []string{"3100/tcp"}},
	{store: "jaeger", entrypoint: "/go/bin/all-in-one-linux", uid: 10001, data: "/tmp",
		ports: []string{"4317/tcp", "4318/tcp", "14250/tcp", "14268/tcp", "16686/tcp"}},
}

func (s storeImage) write(ctx context.Context, name, path string) error {
	program, err := stores.Executable(ctx, s.store, os.Stderr)
	if err != nil {
		return err
	}
	config := v1.ImageConfig{
		User:         fmt.Sprintf("%d:%d", s.uid, s.gid),
		Entrypoint:   []string{s.entrypoint},
		ExposedPorts: map[string]struct{}{},
	}
	for _, port := range s.ports {
		config.ExposedPorts[port] = struct{}{}
	}
	files := []oci.File{
		{Path: s.entrypoint, Mode: 0o755, Source: program},
		{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	}
	if s.data != "/tmp" {
		files = append(files, oci.File{Path: s.data, Mode: fs.ModeDir | 0o775, UID: s.uid, GID: s.gid})
	}
	return write(path, name, config, files...)
}

// chartImages reads which images the chart's quickstart asks for, by store.
func chartImages(values string) (map[string]string, error) {
	text, err := os.ReadFile(values)
	if err != nil {
		return nil, fmt.Errorf("read the chart's values: %w", err)
	}
	type image struct{ Registry, Repository, Tag string }
	var chart struct {
		Quickstart struct {
			Prometheus, Loki, Jaeger struct{ Image image }
		}
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return nil, fmt.Errorf("decode %s: %w", values, err)
	}
	names := map[string]string{}
	for store, i := range map[string]image{
		"prometheus": chart.Quickstart.Prometheus.Image,
		"loki":       chart.Quickstart.Loki.Image,
		"jaeger":     chart.Quickstart.Jaeger.Image,
	} {
		if i.Registry == "" || i.Repository == "" || i.Tag == "" {
			return nil, fmt.Errorf("%s: quickstart.%s.image has registry %q, repository %q, tag %q: want all three", values, store, i.Registry, i.Repository, i.Tag)
		}
		names[store] = i.Registry + "/" + i.Repository + ":" + i.Tag
	}
	return names, nil
}

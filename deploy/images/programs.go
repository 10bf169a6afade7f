package main

import (
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// program is what an image is made for.
type program struct {
	name        string // of the program, and of its image
	pkg         string
	title       string
	description string
	user        string // uid:gid, in numbers: the kubelet cannot tell by a name that it is not root
	ports       []string
}

// nonroot is the user of images that need no rights, as distroless numbers it.
const nonroot = "65532:65532"

var programs = []program{
	{
		name:        "crowsnest-agent",
		pkg:         "./cmd/agent",
		title:       "Crowsnest agent",
		description: "Gathers a Kubernetes node's container logs, kubelet metrics and traces and forwards them, each with its pod's identity.",
		user:        "0:0", // the kubelet makes log files readable to root only
		ports:       []string{"4317/tcp", "4318/tcp", "8888/tcp", "9411/tcp", "13133/tcp", "14250/tcp", "14268/tcp"},
	},
	{
		name:        "crowsnest-aggregator",
		pkg:         "./cmd/aggregator",
		title:       "Crowsnest aggregator",
		description: "Takes what Crowsnest agents send and exports it to Prometheus, Loki and Jaeger.",
		user:        nonroot,
		ports:       []string{"4317/tcp", "8888/tcp", "13133/tcp"},
	},
}

// release is what the images of one build have in common.
type release struct {
	version  string
	revision string // of the source, "" if unknown
	created  time.Time
}

const (
	sourceURL = "https://github.com/crowsnest-o11y/crowsnest"
	registry  = "ghcr.io/crowsnest-o11y/"
)

func (p program) config(r release) v1.ImageConfig {
	config := v1.ImageConfig{
		User:         p.user,
		Entrypoint:   []string{"/" + p.name},
		WorkingDir:   "/",
		ExposedPorts: map[string]struct{}{},
		Labels: map[string]string{
			v1.AnnotationTitle:       p.title,
			v1.AnnotationDescription: p.description,
			v1.AnnotationLicenses:    "Apache-2.0",
			v1.AnnotationSource:      sourceURL,
			v1.AnnotationURL:         sourceURL,
			v1.AnnotationVendor:      "Crowsnest",
			v1.AnnotationVersion:     r.version,
			v1.AnnotationCreated:     r.created.UTC().Format(time.RFC3339),
		},
	}
	for _, port := range p.ports {
		config.ExposedPorts[port] = struct{}{}
	}
	if r.revision != "" {
		config.Labels[v1.AnnotationRevision] = r.revision
	}
	return config
}

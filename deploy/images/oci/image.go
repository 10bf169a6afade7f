package oci

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image for one platform.
type Image struct {
	Platform v1.Platform
	Created  time.Time
	Config   v1.ImageConfig // its labels are the manifest's annotations, too
	Layers   []Layer        // lowest first
}

// blob is content and how others point to it.
type blob struct {
	v1.Descriptor
	content []byte
}

func newBlob(mediaType string, content []byte) blob {
	return blob{v1.Descriptor{
		MediaType: mediaType,
		Digest:    digest.FromBytes(content),
		Size:      int64(len(content)),
	}, content}
}

func newJSONBlob(mediaType string, v any) (blob, error) {
	content, err := json.Marshal(v) // sorts the keys of maps
	if err != nil {
		return blob{}, fmt.Errorf("encode %s: %w", mediaType, err)
	}
	return newBlob(mediaType, content), nil
}

// config is the image's configuration as its manifest points to it.
func (i Image) config() (blob, error) {
	created := i.Created.UTC()
	config := v1.Image{
		Created:  &created,
		Platform: i.Platform,
		Config:   i.Config,
		RootFS:   v1.RootFS{Type: "layers"},
	}
	for _, l := range i.Layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.diffID)
	}
	return newJSONBlob(v1.MediaTypeImageConfig, config)
}

// manifest points to the configuration and the layers.
func (i Image) manifest(config blob) (blob, error) {
	manifest := v1.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   v1.MediaTypeImageManifest,
		Config:      config.Descriptor,
		Annotations: i.Config.Labels,
	}
	for _, l := range i.Layers {
		manifest.Layers = append(manifest.Layers, l.blob.Descriptor)
	}
	m, err := newJSONBlob(v1.MediaTypeImageManifest, manifest)
	m.Platform = &i.Platform
	return m, err
}

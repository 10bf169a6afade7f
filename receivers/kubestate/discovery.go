package kubestate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// discoveryInterval is how often the API server is asked which of the configured
// custom resources it has. One that is gone stays watched, with answers of 404.
const discoveryInterval = time.Minute

// discovery finds the custom resources of a configuration on the API server,
// which everyone may ask for the resources it has.
type discovery struct {
	client    *http.Client
	base      *url.URL
	resources []CustomResource
	known     map[customResource]bool
}

// customResource is a resource of the API server that an entry of the
// configuration means.
type customResource struct {
	entry  int
	plural string
	gvk    GroupVersionKind
}

// find gives the kinds that were not there before. What it finds before an error
// counts.
func (d *discovery) find(ctx context.Context) ([]*kind, error) {
	var kinds []*kind
	var errs []error
	for i := range d.resources {
		found, err := d.findEntry(ctx, i)
		if err != nil && !kubeapi.HasStatus(err, http.StatusNotFound) {
			errs = append(errs, err)
		}
		kinds = append(kinds, found...)
	}
	return kinds, errors.Join(errs...)
}

func (d *discovery) findEntry(ctx context.Context, entry int) (kinds []*kind, err error) {
	r := &d.resources[entry]
	versions, err := d.versions(ctx, r.GroupVersionKind)
	if err != nil {
		return nil, err
	}
	for _, version := range versions {
		var list metav1.APIResourceList
		if err := d.get(ctx, &list, "apis", r.GroupVersionKind.Group, version); err != nil {
			return kinds, err
		}
		for i := range list.APIResources {
			of := &list.APIResources[i]
			if !r.matches(of) {
				continue
			}
			found := customResource{entry, of.Name, GroupVersionKind{r.GroupVersionKind.Group, version, of.Kind}}
			if !d.known[found] {
				d.known[found] = true
				kinds = append(kinds, customKind(r, found.plural, found.gvk))
			}
		}
	}
	return kinds, nil
}

// versions are those of the group that are meant.
func (d *discovery) versions(ctx context.Context, gvk GroupVersionKind) ([]string, error) {
	if gvk.Version != "" && gvk.Version != anything {
		return []string{gvk.Version}, nil
	}
	var group metav1.APIGroup
	if err := d.get(ctx, &group, "apis", gvk.Group); err != nil {
		return nil, err
	}
	var versions []string
	for _, v := range group.Versions {
		versions = append(versions, v.Version)
	}
	return versions, nil
}

func (d *discovery) get(ctx context.Context, answer any, path ...string) error {
	ctx, cancel := context.WithTimeout(ctx, kubeapi.AnswerTimeout)
	defer cancel()
	resp, err := kubeapi.Get(ctx, d.client, d.base.JoinPath(path...).String(), "application/json")
	if err != nil {
		return fmt.Errorf("discover custom resources: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, kubeapi.MaxObjectBytes)).Decode(answer); err != nil {
		return fmt.Errorf("discover custom resources: decode what %s has: %w", path[1], kubeapi.AsMalformed(err))
	}
	return nil
}

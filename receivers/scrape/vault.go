package scrape

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// secretInterval is how often credentials are read anew.
const secretInterval = time.Minute

// vault reads entries of Secrets and ConfigMaps and keeps them for a while: all
// monitors are looked at anew when one changes, on every node. Who changes a
// monitor need not wait. Of one goroutine.
type vault struct {
	cluster *cluster
	known   map[string]*kept // by path and the monitor's version
}

// kept is what was read of one object.
type kept struct {
	values map[string]string
	err    error
	read   time.Time
	used   bool // since the last forget
}

func newVault(c *cluster) *vault { return &vault{cluster: c, known: map[string]*kept{}} }

// get reads an entry ("secrets" or "configmaps").
func (v *vault) get(ctx context.Context, of *metadata, kind string, k keySelector) (string, error) {
	path := "api/v1/namespaces/" + url.PathEscape(of.Namespace) + "/" + kind + "/" + url.PathEscape(k.Name)
	id := path + " " + of.UID + " " + of.ResourceVersion
	o := v.known[id]
	if o == nil {
		o = &kept{}
		v.known[id] = o
	}
	o.used = true
	// Half of it, since it is asked for a little more or less often.
	if o.read.IsZero() || time.Since(o.read) > secretInterval/2 {
		v.refresh(ctx, o, path, kind == "secrets")
	}
	if o.err != nil {
		return "", o.err
	}
	value, ok := o.values[k.Key]
	if !ok {
		return "", fmt.Errorf("%s %s/%s has no key %q", strings.TrimSuffix(kind, "s"), of.Namespace, k.Name, k.Key)
	}
	return value, nil
}

// refresh reads an object. While the API server is away, what it said last
// holds: no target is given up for that.
func (v *vault) refresh(ctx context.Context, o *kept, path string, encoded bool) {
	values, err := v.read(ctx, path, encoded)
	definite := err == nil || kubeapi.HasStatus(err, http.StatusForbidden, http.StatusNotFound)
	if definite || o.values == nil {
		o.values, o.err = values, err
	}
	o.read = time.Now()
}

// forget drops what nobody asked for since the last time.
func (v *vault) forget() {
	for id, o := range v.known {
		if !o.used {
			delete(v.known, id)
		}
		o.used = false
	}
}

func (v *vault) read(ctx context.Context, path string, encoded bool) (map[string]string, error) {
	var o struct {
		Data map[string]string `json:"data"`
	}
	if err := v.cluster.get(ctx, path, nil, &o); kubeapi.HasStatus(err, http.StatusForbidden) {
		return nil, fmt.Errorf("%w; grant the agent's service account get on this one if its monitor shall be followed", err)
	} else if err != nil {
		return nil, err
	}
	if !encoded {
		return o.Data, nil
	}
	for key, text := range o.Data {
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("decode %s: key %q: %w", path, key, err)
		}
		o.Data[key] = string(value)
	}
	return o.Data, nil
}

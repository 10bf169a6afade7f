//go:build e2e

package kubestate

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/crowsnest-o11y/crowsnest/test/apiserver"
)

// deleted is an annotation of objects that are deleted once they exist, and go on
// for a finalizer of theirs or a grace period.
const deleted = "kubestate.test/delete"

// creator makes objects as an admin.
type creator struct {
	t       *testing.T
	client  dynamic.Interface
	finder  *discovery.DiscoveryClient
	mapping apimeta.RESTMapper
}

func newCreator(t *testing.T, server *apiserver.Server) *creator {
	t.Helper()
	config := server.Config()
	config.WarningHandler = rest.NoWarnings{} // much here is odd or old, on purpose
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	finder, err := discovery.NewDiscoveryClientForConfig(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	return &creator{t: t, client: client, finder: finder}
}

// createObjects makes those of testdata/objects, in the order of the files.
func createObjects(t *testing.T, server *apiserver.Server) {
	t.Helper()
	c := newCreator(t, server)
	files, err := filepath.Glob("testdata/objects/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/objects has %d files: %v", len(files), err)
	}
	for _, file := range files {
		for _, o := range readObjects(t, file) {
			c.create(file, o)
		}
	}
}

func readObjects(t *testing.T, file string) (objects []*unstructured.Unstructured) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := dec.Decode(&o.Object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if o.Object != nil {
			objects = append(objects, o)
		}
	}
}

// create makes an object, then its status, then deletes it if it says so.
func (c *creator) create(file string, o *unstructured.Unstructured) {
	c.t.Helper()
	ctx := c.t.Context()
	client := c.resource(file, o)
	made, err := client.Create(ctx, o, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		made, err = client.Get(ctx, o.GetName(), metav1.GetOptions{})
	}
	if err != nil {
		c.t.Fatalf("%s: create %s %s: %v", file, o.GetKind(), o.GetName(), err)
	}
	if status, ok := o.Object["status"]; ok {
		subresources := []string{"status"}
		if o.GetKind() == "CertificateSigningRequest" {
			subresources = []string{"approval", "status"} // each takes other conditions
		}
		for _, subresource := range subresources {
			made.Object["status"] = runtime.DeepCopyJSONValue(status)
			if made, err = client.Update(ctx, made, metav1.UpdateOptions{}, subresource); err != nil {
				c.t.Fatalf("%s: update %s of %s %s: %v", file, subresource, o.GetKind(), o.GetName(), err)
			}
		}
	}
	if o.GetAnnotations()[deleted] != "" {
		if err := client.Delete(ctx, o.GetName(), metav1.DeleteOptions{}); err != nil {
			c.t.Fatalf("%s: delete %s %s: %v", file, o.GetKind(), o.GetName(), err)
		}
	}
}

// resource finds where objects of the kind are, which for a custom one may take
// a while after its definition.
func (c *creator) resource(file string, o *unstructured.Unstructured) dynamic.ResourceInterface {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		mapping, err := c.find(o.GroupVersionKind())
		if err == nil {
			if mapping.Scope.Name() == apimeta.RESTScopeNameRoot {
				return c.client.Resource(mapping.Resource)
			}
			return c.client.Resource(mapping.Resource).Namespace(o.GetNamespace())
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: %v", file, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (c *creator) find(kind schema.GroupVersionKind) (*apimeta.RESTMapping, error) {
	if c.mapping != nil {
		if mapping, err := c.mapping.RESTMapping(kind.GroupKind(), kind.Version); err == nil {
			return mapping, nil
		}
	}
	groups, err := restmapper.GetAPIGroupResources(c.finder)
	if err != nil {
		return nil, err
	}
	c.mapping = restmapper.NewDiscoveryRESTMapper(groups)
	return c.mapping.RESTMapping(kind.GroupKind(), kind.Version)
}

// changeObjects changes and deletes some of what there is.
func changeObjects(t *testing.T, server *apiserver.Server) {
	t.Helper()
	c := newCreator(t, server)
	ctx := t.Context()
	for _, change := range []struct{ group, version, resource, name, subresource, patch string }{
		{"", "v1", "pods", "waiting", "status", `{"status":{"phase":"Running","containerStatuses":[{"name":"crash","image":"a","imageID":"sha256:1","ready":true,"restartCount":13,"state":{"running":{"startedAt":"2026-03-02T00:00:00Z"}}}]}}`},
		{"", "v1", "pods", "waiting", "", `{"metadata":{"labels":{"new":"label"}}}`},
		{"", "v1", "secrets", "own", "", `{"stringData":{"key":"must-not-be-read-PzC5fYw4-again"},"metadata":{"labels":{"new":"label"}}}`},
		{"", "v1", "configmaps", "settings", "", `{"data":{"key":"other"},"metadata":{"labels":{"app":null}}}`},
		{"apps", "v1", "deployments", "rolling", "", `{"spec":{"replicas":9}}`},
		{"apps", "v1", "deployments", "rolling", "status", `{"status":{"conditions":[]}}`},
		{"batch", "v1", "cronjobs", "hourly", "", `{"spec":{"suspend":true}}`},
		{"myteam.io", "v1", "foos", "foo", "status", `{"status":{"phase":"Bar","sub":{"type-a":null}}}`},
	} {
		client := c.client.Resource(schema.GroupVersionResource{Group: change.group, Version: change.version, Resource: change.resource}).Namespace("odd")
		var subresources []string
		if change.subresource != "" {
			subresources = append(subresources, change.subresource)
		}
		if _, err := client.Patch(ctx, change.name, types.MergePatchType, []byte(change.patch), metav1.PatchOptions{}, subresources...); err != nil {
			t.Fatalf("change %s %s: %v", change.resource, change.name, err)
		}
	}
	for resource, name := range map[schema.GroupVersionResource]string{
		{Version: "v1", Resource: "pods"}:                                      "evicted",
		{Version: "v1", Resource: "secrets"}:                                   "basic",
		{Group: "batch", Version: "v1", Resource: "jobs"}:                      "retrying",
		{Group: "myteam.io", Version: "v1", Resource: "foos"}:                  "foo",
		{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}: "web-abc",
	} {
		none := int64(0)
		if err := c.client.Resource(resource).Namespace("odd").Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &none}); err != nil {
			t.Fatalf("delete %s %s: %v", resource.Resource, name, err)
		}
	}
}

package kubestate

import (
	"fmt"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// The types of a family, as Prometheus calls them.
const (
	gauge    = "" // what a family is unless it says otherwise
	counter  = "counter"
	info     = "info"
	stateset = "stateset"
)

// family is one metric of a kind and how it is made of an object.
type family[T any] struct {
	name, help string
	typ        string
	labels     []string
	// open families have labels that the object names, written by
	// writer.labels, annotations or putNamed; labels is empty for them.
	open  bool
	write func(w *writer, o *T)
}

// description is what a point needs to know of its family.
type description struct {
	name, help, typ string
	labels          []string
	open            bool
}

// object is what the engine asks of a decoded object; embedding
// metav1.ObjectMeta gives it.
type object interface {
	GetNamespace() string
	GetName() string
	GetResourceVersion() string
}

// spec describes a kind whose objects are decoded to a T.
type spec[T any] struct {
	// resource is the plural as written in allow lists and in RBAC rules.
	resource string
	// path is that of the resource on the API server, "apis/apps/v1/deployments".
	path string
	// goType names the kind in kube_state_metrics_list_total, "*v1.Deployment".
	goType string
	// encoding says what T is: for AsMetadata metav1.PartialObjectMetadata, for
	// AsTable tableRow.
	encoding kubeapi.Encoding
	// optional kinds may be unknown to the API server; they are asked for again
	// each minute.
	optional bool
	// sensitive kinds may be denied to this program on purpose.
	sensitive bool
	// identity names the labels that each series of the kind bears, and
	// identify gives their values.
	identity []string
	identify func(o *T) []string
	families []family[T]
	// decode reads an object; nil for what has a method Unmarshal (protobuf)
	// and, unless the encoding is AsProtobuf, for encoding/json.
	decode func(data []byte, o *T) error
}

// kind is a spec without its type.
type kind struct {
	resource, path, goType string
	encoding               kubeapi.Encoding
	optional, sensitive    bool
	identity               []string
	families               []description
	words                  words
	// generate writes the series of an encoded object.
	generate func(w *writer, data []byte) (meta, error)
}

// meta is what is kept of an object beside its series.
type meta struct {
	key     string // namespace/name
	version string
}

// newKind closes over T.
func newKind[T any](s spec[T]) *kind {
	k := &kind{resource: s.resource, path: s.path, goType: s.goType, encoding: s.encoding,
		optional: s.optional, sensitive: s.sensitive, identity: s.identity}
	for _, f := range s.families {
		if stable[f.name] {
			f.help = "[STABLE] " + f.help
		}
		k.families = append(k.families, description{f.name, f.help, f.typ, f.labels, f.open})
	}
	decode := s.decode
	if decode == nil {
		decode = decoderOf[T](s.encoding)
	}
	k.generate = func(w *writer, data []byte) (meta, error) {
		o := new(T)
		if err := decode(data, o); err != nil {
			return meta{}, fmt.Errorf("decode %s: %w", s.resource, err)
		}
		of := any(o).(object)
		w.begin(k, s.identify(o))
		for i := range s.families {
			w.family = i
			s.families[i].write(w, o)
		}
		return meta{key: of.GetNamespace() + "/" + of.GetName(), version: of.GetResourceVersion()}, nil
	}
	return k
}

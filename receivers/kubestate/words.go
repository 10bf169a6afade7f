package kubestate

import "sync/atomic"

// words are label values that many objects of a kind share, such as the name of
// a node or of an image; states name them by number. They are never forgotten,
// so that a value is packed in the same way as long as its kind lives, and
// bounded: values that come when they are full are packed as they are.
//
// One goroutine adds, others read.
type words struct {
	numbers map[string]uint64
	bytes   int
	texts   atomic.Pointer[[]string]
}

// maxWordBytes bounds the words of a kind, with what they take beside their text.
const maxWordBytes = 1 << 20

// shared are the labels whose values become words.
var shared = map[string]bool{
	"namespace": true, "node": true, "container": true, "host_ip": true,
	"image": true, "image_spec": true, "image_id": true,
	"condition": true, "status": true, "reason": true, "phase": true, "qos_class": true, "type": true,
	"resource": true, "unit": true, "ip_family": true,
	"key": true, "operator": true, "value": true, "effect": true, "toleration_seconds": true,
	"owner_kind": true, "owner_name": true, "owner_is_controller": true,
	"created_by_kind": true, "created_by_name": true, "priority_class": true, "host_network": true,
	"service_account": true, "restart_policy": true,
}

// number gives the number of a text, if it has one or can get one.
func (w *words) number(text string) (uint64, bool) {
	if n, ok := w.numbers[text]; ok {
		return n, true
	}
	const beside = 64 // headers in map and list
	if w.bytes+len(text)+beside > maxWordBytes {
		return 0, false
	}
	if w.numbers == nil {
		w.numbers = map[string]uint64{}
		w.texts.Store(&[]string{})
	}
	w.bytes += len(text) + beside
	text = string([]byte(text)) // not a part of a whole object
	texts := append(*w.texts.Load(), text)
	n := uint64(len(texts) - 1)
	w.numbers[text] = n
	// Readers of the old list see none of what is beyond its end.
	w.texts.Store(&texts)
	return n, true
}

// all gives the words that there are.
func (w *words) all() []string {
	if texts := w.texts.Load(); texts != nil {
		return *texts
	}
	return nil
}

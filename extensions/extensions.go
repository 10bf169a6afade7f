// Package extensions finds the extensions that components name in their
// configuration: a component imports no other, it says by an interface of its own
// what it needs of one.
package extensions

import (
	"fmt"

	"go.opentelemetry.io/collector/component"
)

// Find returns the extension id as what the caller needs of it. Errors name the
// configuration's key that holds the id, and the kind of extension it should be.
func Find[T any](host component.Host, key string, id component.ID, kind string) (T, error) {
	var none T
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return none, fmt.Errorf("%s: no extension %q is running: add it to service.extensions", key, id)
	}
	found, ok := extension.(T)
	if !ok {
		return none, fmt.Errorf("%s: extension %q is not a %s", key, id, kind)
	}
	return found, nil
}

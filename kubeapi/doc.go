// Package kubeapi reads objects from the API server: one list, then a watch.
//
// It follows the protocol of client-go's reflector: list, watch from the list's
// version on, go on with the version of the last event or bookmark when the
// server ends the watch, list again after 410 Gone (from the server's cache,
// where that has the answer, and from etcd only if it has not). It is not that
// reflector since that one decodes whole objects before they can be trimmed,
// keeps them, and hides the errors of a watch from its owner.
//
// Lists come in pages and are read object by object, so that memory is bounded
// by one object (8 MiB) and not by the cluster. What becomes of an object is
// its [Handler]'s business. Client, credentials and trust are client-go's.
//
// The package imports no collector package.
package kubeapi

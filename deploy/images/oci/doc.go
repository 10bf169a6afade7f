// Package oci writes container images as a tar of an OCI image layout, without a
// container engine and without a base image. The same input gives the same
// bytes: entries are sorted, times and owners are the caller's or fixed.
//
// What the archive is read by: `ctr images import`, `podman load`, `skopeo copy
// oci-archive:` and `docker load` (with the containerd store all platforms; the
// older store takes the first, by Docker's own manifest.json).
//
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
package oci

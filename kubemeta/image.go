package kubemeta

import "strings"

// Image is a parsed image reference.
type Image struct {
	// Name with registry and path, without tag and digest: "registry:5000/team/app".
	Name string
	// Tag is "" when the reference has none.
	Tag string
	// Digest with its algorithm, "sha256:…"; "" when the reference has none.
	Digest string
}

// ParseImage splits an image reference "[host[:port]/]path[:tag][@digest]".
// A bare image id ("sha256:…"), which runtimes report for an image whose tag
// moved on, has no name: only the digest is set.
func ParseImage(ref string) Image {
	if isDigest(ref) {
		return Image{Digest: ref}
	}
	var img Image
	img.Name = ref
	if at := strings.LastIndexByte(ref, '@'); at >= 0 {
		img.Name, img.Digest = ref[:at], ref[at+1:]
	}
	// A colon before the last slash belongs to the registry's port.
	if colon := strings.LastIndexByte(img.Name, ':'); colon > strings.LastIndexByte(img.Name, '/') {
		img.Name, img.Tag = img.Name[:colon], img.Name[colon+1:]
	}
	return img
}

// isDigest tells whether the whole reference is "algorithm:hex" with at least
// 32 hex digits, the shortest that the image spec allows.
func isDigest(ref string) bool {
	algorithm, hex, ok := strings.Cut(ref, ":")
	if !ok || len(hex) < 32 || algorithm == "" || strings.ContainsAny(algorithm, "/@") {
		return false
	}
	return strings.Trim(hex, "0123456789abcdef") == ""
}

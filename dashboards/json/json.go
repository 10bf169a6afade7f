// Package json holds the dashboards as Grafana takes them, rendered from
// package dashboards.
package json

import "embed"

// Files are the dashboards, <uid>.json.
//
//go:embed *.json
var Files embed.FS

package rules

import "embed"

// Rendered are the rule files with their defaults.
//
//go:embed *.yaml
var Rendered embed.FS

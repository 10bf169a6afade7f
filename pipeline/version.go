package pipeline

// Module is the Go module that both programs are built from.
const Module = "github.com/crowsnest-o11y/crowsnest"

// Version is set by the linker (-X); a plain `go build` says "dev".
var Version = "dev"

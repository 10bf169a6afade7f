package stores

import (
	"context"
	"fmt"
	"io"
)

// Executable builds a store ("prometheus", "loki" or "jaeger"; what is in the
// cache is not built again) and returns the path of its program, for those who
// run it in a container.
func Executable(ctx context.Context, name string, progress io.Writer) (string, error) {
	for _, p := range []program{prometheusProgram, lokiProgram, jaegerProgram} {
		if p.Name == name {
			return p.Build(ctx, progress)
		}
	}
	return "", fmt.Errorf("build store %q: there is none of this name", name)
}

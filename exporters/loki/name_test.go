package loki

import (
	"testing"

	"github.com/prometheus/otlptranslator"
)

// FuzzAppendName compares with the library by which Loki itself translates
// names: ours must be what Loki would store, and never one that it fails on.
func FuzzAppendName(f *testing.F) {
	for _, s := range []string{"", "_", "...", "a", "k8s.pod.name", "9x", "__a__", "____", "__", "_a", "a__b", "é", "a\xff.b", "x:y", "__9__"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := string(appendName([]byte("before"), s))[len("before"):]
		namer := otlptranslator.LabelNamer{}
		if want, err := namer.Build(s); err == nil && got != want {
			t.Errorf("appendName(%q) = %q, Loki has %q", s, got, want)
		}
		if again, err := namer.Build(got); err != nil || again != got {
			t.Errorf("Loki makes %q (%v) of our %q for %q", again, err, got, s)
		}
	})
}

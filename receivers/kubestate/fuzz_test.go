package kubestate

import (
	"math"
	"testing"
)

// FuzzGenerate makes the series of objects of every kind and unpacks them: what
// a writer packed, an unpacker must read.
func FuzzGenerate(f *testing.F) {
	data, err := usualPod(1).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{})
	f.Add([]byte("{}"))
	kinds := append(builtin(), pods())
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, k := range kinds {
			w := writer{allow: allowed{labels: keys{"*"}, annotations: keys{"*"}}}
			if _, err := k.generate(&w, data); err != nil {
				continue
			}
			for u := state(w.packer.buf).unpack(k); u.next(); {
				u.labels.each(func(name, value string) {})
			}
		}
	})
}

// FuzzValue packs a number and reads it back.
func FuzzValue(f *testing.F) {
	for _, v := range []float64{0, 1, -1, 2, 1 << 53, 1e300, math.NaN(), math.Inf(1), math.Copysign(0, -1), 0.1} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		var w writer
		w.begin(things, []string{"1"})
		w.put(v, "x")
		u := state(w.packer.buf).unpack(things)
		if !u.next() || math.Float64bits(u.value) != math.Float64bits(v) || u.next() {
			t.Errorf("%v became %v", v, u.value)
		}
	})
}

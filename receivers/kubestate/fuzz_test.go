package kubestate

import (
	"bytes"
	"io"
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FuzzList reads lists in every form; none may end the program.
func FuzzList(f *testing.F) {
	f.Add(encoded(&corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "5"}, Items: []corev1.Pod{*usualPod(1)}}))
	f.Add([]byte(`{"metadata":{"resourceVersion":"3"},"items":[{"metadata":{"name":"a"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, e := range []encoding{asProtobuf, asJSON, asTable} {
			k := pods()
			var w writer
			_, _ = codecOf(e).list(bytes.NewReader(data), func(object []byte) {
				_, _ = k.generate(&w, object)
			})
		}
	})
}

// FuzzEvents reads watches in every form.
func FuzzEvents(f *testing.F) {
	f.Add(append(line("ADDED", usualPod(1)), line(eventError, &metav1.Status{Code: 410})...))
	f.Add([]byte(`{"type":"ADDED","object":{"metadata":{"name":"a"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, e := range []encoding{asProtobuf, asJSON, asTable} {
			next := codecOf(e).events(bytes.NewReader(data))
			for {
				if _, err := next(); err != nil {
					if err == io.EOF && len(data) == 0 {
						return
					}
					break
				}
			}
		}
	})
}

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

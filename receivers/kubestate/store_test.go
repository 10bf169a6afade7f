package kubestate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// things is a kind with a family of one label.
var things = &kind{resource: "things", identity: []string{"uid"}, families: []description{
	{name: "thing", labels: []string{"l"}}, {name: "open", open: true}, {name: "thing_total", typ: counter, labels: []string{"l"}},
}}

// thing packs an object with a point for each label.
func thing(uid string, labels ...string) []byte {
	var w writer
	w.begin(things, []string{uid})
	for i, label := range labels {
		w.put(float64(i), label)
	}
	return slices.Clone(w.packer.buf)
}

// passed is what a pass over a store says, as "name{labels}" and "=value" or " gone".
func passed(s *store, taken bool) (all []string) {
	var b batch
	b.begin(1)
	b.fill(s, 0)
	eachPoint(b.metrics, func(m pmetric.Metric, p pmetric.NumberDataPoint) {
		labels := map[string]string{}
		for name, v := range p.Attributes().All() {
			labels[name] = v.Str()
		}
		text := fmt.Sprintf("=%v", p.DoubleValue())
		if p.Flags().NoRecordedValue() {
			text = " gone"
		}
		all = append(all, seriesName(m.Name(), labels)+text)
	})
	b.settle(taken)
	slices.Sort(all)
	return all
}

func TestPasses(t *testing.T) {
	s := newStore(things, &budget{max: 1 << 20})
	f := func(what string, taken bool, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, passed(s, taken)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	s.put("a", thing("1", "x", "y"))
	f("new, refused", false, `thing{l="x",uid="1",}=0`, `thing{l="y",uid="1",}=1`)
	s.put("a", thing("1", "x"))
	f("what nobody took is not marked", true, `thing{l="x",uid="1",}=0`)
	s.put("a", thing("1", "z"))
	f("refused", false, `thing{l="x",uid="1",} gone`, `thing{l="z",uid="1",}=0`)
	f("marked again", true, `thing{l="x",uid="1",} gone`, `thing{l="z",uid="1",}=0`)
	f("and never after", true, `thing{l="z",uid="1",}=0`)
	s.delete("a")
	s.put("a", thing("2", "z"))
	f("another of the name", true, `thing{l="z",uid="1",} gone`, `thing{l="z",uid="2",}=0`)
	s.begin()
	s.put("b", thing("3", "x"))
	s.end()
	f("not in the list", false, `thing{l="x",uid="3",}=0`, `thing{l="z",uid="2",} gone`)
	f("still gone", true, `thing{l="x",uid="3",}=0`, `thing{l="z",uid="2",} gone`)
	s.delete("b")
	f("the last", true, `thing{l="x",uid="3",} gone`)
	f("nothing", true)
	if s.budget.used.Load() != 0 || len(s.byKey) != 0 {
		t.Errorf("an empty store takes %d bytes and has %v", s.budget.used.Load(), s.byKey)
	}
}

// TestDeletedWhileOnItsWay has an object deleted between being sent and being taken.
func TestDeletedWhileOnItsWay(t *testing.T) {
	s := newStore(things, &budget{max: 1 << 20})
	s.put("a", thing("1", "x"))
	var b batch
	b.begin(1)
	b.fill(s, 0)
	s.delete("a")
	b.settle(true)
	if diff := cmp.Diff([]string{`thing{l="x",uid="1",} gone`}, passed(s, true)); diff != "" {
		t.Error(diff)
	}
	if len(s.byKey) != 0 {
		t.Error("it stays")
	}
}

// TestChurnWithoutPassesKeepsNothing has objects come and go while the pipeline
// takes nothing.
func TestChurnWithoutPassesKeepsNothing(t *testing.T) {
	s := newStore(things, &budget{max: 1 << 20})
	for i := range 100_000 {
		key := fmt.Sprint(i)
		s.put(key, thing(key, "x"))
		s.delete(key)
	}
	if len(s.slots) != 1 || s.budget.used.Load() != 0 {
		t.Errorf("%d slots, %d bytes", len(s.slots), s.budget.used.Load())
	}
}

func TestBudgetIsABound(t *testing.T) {
	b := &budget{max: 1000}
	s := newStore(things, b)
	taken := 0
	for i := range 100 {
		if s.put(fmt.Sprint(i), thing("1", "x")) {
			taken++
		}
	}
	if b.used.Load() > b.max || taken == 0 || taken == 100 {
		t.Errorf("%d taken, %d bytes", taken, b.used.Load())
	}
	if s.put("0", thing("1", strings.Repeat("x", 2000))) {
		t.Error("an object grows beyond the bound")
	}
	for i := range 100 {
		s.delete(fmt.Sprint(i))
	}
	if b.used.Load() != 0 {
		t.Errorf("%d bytes of nothing", b.used.Load())
	}
}

func TestTwiceTheSameSeriesIsSentOnce(t *testing.T) {
	var w writer
	w.begin(things, []string{"1"})
	w.put(1, "x")
	w.put(2, "x")
	w.family = 1
	w.putNamed(3, []string{"a", "b"}, []string{"1", ""})
	w.family = 2
	w.put(-2.5, "x")
	s := newStore(things, &budget{max: 1 << 20})
	s.put("a", w.packer.buf)
	want := []string{`open{a="1",uid="1",}=3`, `thing_total{l="x",uid="1",}=-2.5`, `thing{l="x",uid="1",}=1`}
	if diff := cmp.Diff(want, passed(s, true)); diff != "" || w.packer.twice != 1 {
		t.Errorf("%d twice; %s", w.packer.twice, diff)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	s := newStore(things, &budget{max: 1 << 30})
	for i := range 20_000 {
		s.put(fmt.Sprint(i), thing(fmt.Sprint(i), "x", "y"))
	}
	var b batch
	points := 0
	for slot, more := 0, true; more; {
		b.begin(1)
		slot, more = b.fill(s, slot)
		if b.points > batchPoints+2 || b.points != b.metrics.DataPointCount() {
			t.Errorf("a batch of %d points", b.points)
		}
		points += b.points
		b.settle(true)
	}
	if points != 40_000 {
		t.Errorf("%d points", points)
	}
}

// TestWordsAreBounded packs more values than words can be, some of them before
// and after the words are full: an object's series must stay the same.
func TestWordsAreBounded(t *testing.T) {
	k := &kind{identity: []string{"uid"}, families: []description{{name: "thing", labels: []string{"node", "image"}}}}
	s := newStore(k, &budget{max: 1 << 30})
	object := func(i int) (string, []byte) {
		var w writer
		w.begin(k, []string{fmt.Sprint(i)})
		w.put(1, fmt.Sprintf("node-%d", i), strings.Repeat("x", 100)+fmt.Sprint(i))
		return fmt.Sprint(i), slices.Clone(w.packer.buf)
	}
	for i := range 20_000 {
		s.put(object(i))
	}
	if k.words.bytes > maxWordBytes || len(k.words.all()) == 0 {
		t.Errorf("%d bytes of words", k.words.bytes)
	}
	first := passed(s, true)
	for i := range 20_000 {
		s.put(object(i))
	}
	if diff := cmp.Diff(first, passed(s, true)); diff != "" {
		t.Errorf("the same objects, packed again: %s", diff)
	}
}

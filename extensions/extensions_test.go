package extensions

import (
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
)

type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

type clock struct {
	component.StartFunc
	component.ShutdownFunc
}

func (clock) Hour() int { return 12 }

func TestFind(t *testing.T) {
	h := host{component.MustNewID("clock"): clock{}}
	found, err := Find[interface{ Hour() int }](h, "time", component.MustNewID("clock"), "clock")
	if err != nil || found.Hour() != 12 {
		t.Errorf("%v, %v", found, err)
	}
	_, err = Find[interface{ Hour() int }](h, "time", component.MustNewID("watch"), "clock")
	if err == nil || !strings.Contains(err.Error(), `time: no extension "watch" is running`) {
		t.Errorf("of one that is not there: %v", err)
	}
	_, err = Find[interface{ Minute() int }](h, "time", component.MustNewID("clock"), "watch")
	if err == nil || !strings.Contains(err.Error(), `time: extension "clock" is not a watch`) {
		t.Errorf("of one that does something else: %v", err)
	}
}

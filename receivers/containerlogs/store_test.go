package containerlogs

import (
	"errors"
	"strings"
	"testing"
)

func TestTwoReceiversDoNotShareOffsets(t *testing.T) {
	directory := t.TempDir()
	first, second := store{directory: directory}, store{directory: directory}
	if err := first.lock(); err != nil {
		t.Fatal(err)
	}
	if err := second.lock(); !errors.Is(err, errLocked) || !strings.Contains(err.Error(), directory) {
		t.Errorf("got %v, want errLocked that names %s", err, directory)
	}
	first.unlock()
	if err := second.lock(); err != nil {
		t.Errorf("after the first ended: %v", err)
	}
	second.unlock()
}

package disk

import (
	"os"
	"testing"
)

func TestFlushes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	took, err := Flushes(t.Context(), dir)
	if err != nil || len(took) == 0 {
		t.Fatalf("flushes = %d samples, %v, want some", len(took), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("flushes left %v, %v, want nothing", left, err)
	}
}

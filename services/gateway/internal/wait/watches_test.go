package wait

import (
	"testing"

	"github.com/google/uuid"
)

func TestWaitersMissNothing(t *testing.T) {
	t.Parallel()
	w, id := newWatches(), uuid.Must(uuid.NewV7())
	w.wake(id) // a hint without a wait
	w.watch(id)
	w.watch(id)
	first := w.ended(id)
	if second := w.ended(id); first != second {
		t.Error("two waits before the hint have two channels")
	}
	w.wake(id)
	select {
	case <-first:
	default:
		t.Error("the hint did not arrive")
	}
	select {
	case <-w.ended(id):
		t.Error("the next hint came before it was given")
	default:
	}
	w.forget(id)
	if len(w.ids()) != 1 {
		t.Errorf("%d requests watched after one of two waits has ended, want 1", len(w.ids()))
	}
	w.forget(id)
	if len(w.ids()) != 0 {
		t.Errorf("%d requests watched after forget, want 0", len(w.ids()))
	}
}

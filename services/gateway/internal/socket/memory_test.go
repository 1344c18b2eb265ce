package socket

import (
	"testing"

	"windlass.dev/windlass/pkg/responses"
)

// What a WebSocket remembers of a response is the input of the next one, except
// for what asked only the first.
func TestATriggerIsNotRemembered(t *testing.T) {
	t.Parallel()
	c, f := responses.Decode([]byte(`{"model":"m","input":[{"role":"user","content":"a"},{"type":"compaction_trigger"}]}`))
	if f != nil {
		t.Fatal(f)
	}
	m := &memory{items: c.Input}
	next := []byte(`{"model":"m","input":[{"role":"user","content":"b"}]}`)
	asks, f := responses.Decode(next)
	if f != nil {
		t.Fatal(f)
	}
	body, err := m.prepend(asks, next, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"model":"m","input":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}`; string(body) != want {
		t.Errorf("the body is %s, want %s", body, want)
	}
}

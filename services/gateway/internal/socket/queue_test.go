package socket

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
)

// on returns a message with a stream_id and a name.
func on(streamID, name string) arrival {
	return arrival{Message: responses.Message{StreamID: streamID, Previous: name}, size: 1}
}

// admitted admits messages, all of which may wait.
func admitted(tb testing.TB, q *queue, all ...arrival) {
	tb.Helper()
	for _, a := range all {
		if !q.admit(a) {
			tb.Fatalf("%s may not wait", a.Previous)
		}
	}
}

// takeAll returns the names of the messages in the order in which they begin.
func takeAll(q *queue) (names []string) {
	for {
		a, ok := q.next()
		if !ok {
			return names
		}
		names = append(names, a.Previous)
	}
}

func TestTheOrderOfASocket(t *testing.T) {
	t.Parallel()
	q := newQueue(100)
	admitted(t, q, on("a", "a1"), on("a", "a2"), on("", "1"), on("b", "b1"), on("a", "a3"), on("", "2"))
	steps := []struct {
		done string
		want []string
	}{{"-", []string{"a1", "1", "b1"}}, {"b", nil}, {"a", []string{"a2"}}, {"", []string{"2"}}, {"a", []string{"a3"}}}
	for _, step := range steps {
		q.done(step.done)
		if diff := cmp.Diff(step.want, takeAll(q)); diff != "" {
			t.Errorf("after the end on %q (-want +got):\n%s", step.done, diff)
		}
	}
	if q.idle() {
		t.Error("idle while a3 and 2 are answered")
	}
	q.done("a")
	q.done("")
	if !q.idle() || q.size != 0 {
		t.Errorf("not idle, or %d bytes wait, after the last end", q.size)
	}
}

// Messages without a stream_id count among those in flight, and not among the
// names.
func TestTheLimitsOfASocket(t *testing.T) {
	t.Parallel()
	q := newQueue(1000)
	admitted(t, q, on("", "none"))
	for n := range maxStreams {
		admitted(t, q, on(fmt.Sprint("stream", n), fmt.Sprint(n)))
	}
	if got := takeAll(q); len(got) != maxActive || got[0] != "none" {
		t.Errorf("begun are %q, want %d, the unnamed first", got, maxActive)
	}
	q.done("stream3")
	if diff := cmp.Diff([]string{"15"}, takeAll(q)); diff != "" {
		t.Errorf("after an end (-want +got):\n%s", diff)
	}
	admitted(t, q, on("stream3", "again"), on("another", "refused"), on("another", "refused too"))
	refused := 0
	for _, a := range q.waiting {
		if a.fault != nil {
			refused++
			if a.fault.Code != "websocket_stream_limit_reached" || a.fault.Param != "stream_id" || a.StreamID != "another" {
				t.Errorf("%+v is refused with %+v", a, a.fault)
			}
		}
	}
	if refused != 2 || len(q.names) != maxStreams {
		t.Errorf("%d messages are refused, of %d names, want 2 and %d", refused, len(q.names), maxStreams)
	}
}

func TestWhatMayWait(t *testing.T) {
	t.Parallel()
	q := newQueue(100)
	large := on("", "large")
	large.size = 60
	if !q.admit(large) || q.admit(large) {
		t.Error("two messages of 60 bytes wait where 100 may")
	}
	q = newQueue(1000)
	for n := range maxWaiting {
		admitted(t, q, on("", fmt.Sprint(n)))
	}
	if q.admit(on("", "more")) {
		t.Errorf("more than %d messages wait", maxWaiting)
	}
}

func TestMemories(t *testing.T) {
	t.Parallel()
	m := newMemories(100)
	keep := func(streamID, id string, size int64) {
		m.keep(streamID, &memory{id: id, base: uuid.New(), size: size})
	}
	known := func() (ids []string) {
		for _, id := range []string{"a1", "a2", "b1", "c1", "d1", "1"} {
			if m.find(id) != nil {
				ids = append(ids, id)
			}
		}
		return ids
	}
	for _, step := range []struct {
		name string
		do   func()
		want []string
	}{
		{"the last of each stream", func() { keep("a", "a1", 30); keep("", "1", 30); keep("b", "b1", 30) }, []string{"a1", "b1", "1"}},
		{"a stream goes on", func() { keep("a", "a2", 30) }, []string{"a2", "b1", "1"}},
		{"a fork fails", func() { m.forget("b", "a2") }, []string{"a2", "b1", "1"}},
		{"a continuation of an older one fails", func() { m.forget("a", "a1") }, []string{"a2", "b1", "1"}},
		{"a continuation fails", func() { m.forget("b", "b1") }, []string{"a2", "1"}},
		{"the oldest makes room", func() { keep("c", "c1", 50) }, []string{"a2", "c1"}},
		{"one that is stored takes the place", func() { m.keep("c", nil) }, []string{"a2"}},
		{"one as large as all may be", func() { keep("d", "d1", 100) }, []string{"d1"}},
		{"nothing continued", func() { m.forget("d", "") }, []string{"d1"}},
	} {
		step.do()
		if diff := cmp.Diff(step.want, known()); diff != "" {
			t.Errorf("%s: known (-want +got):\n%s", step.name, diff)
		}
	}
	if m.find("") != nil {
		t.Error("a response without an id is known")
	}
}

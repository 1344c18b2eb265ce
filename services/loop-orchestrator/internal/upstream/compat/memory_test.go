package compat

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := &Memory{Now: func() time.Time { return now }}
	if got := m.Recall("a", chatPath); got != nil {
		t.Errorf("an empty memory has %v", got)
	}
	noUser, noStream := Change{Omit, "user"}, Change{Omit, "stream_options"}
	if got := m.Learn("a", chatPath, []Change{noUser}); !cmp.Equal(got, []Change{noUser}) {
		t.Errorf("Learn = %v, want what is new", got)
	}
	if got := m.Learn("a", chatPath, []Change{noUser, noStream}); !cmp.Equal(got, []Change{noStream}) {
		t.Errorf("Learn = %v, want what is new", got)
	}
	if got := m.Recall("a", chatPath); !cmp.Equal(got, []Change{noUser, noStream}) {
		t.Errorf("Recall = %v", got)
	}
	if m.Recall("b", chatPath) != nil || m.Recall("a", responsesPath) != nil {
		t.Error("a lesson holds for another upstream or endpoint")
	}
	now = now.Add(lifetime)
	if got := m.Recall("a", chatPath); got != nil {
		t.Errorf("after its lifetime a lesson is %v", got)
	}
	if got := m.Learn("a", chatPath, []Change{noUser}); !cmp.Equal(got, []Change{noUser}) {
		t.Errorf("Learn after the lifetime = %v, want it to be new", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	m := &Memory{Now: func() time.Time { return now }}
	for i := range maxUpstreams + 10 {
		now = now.Add(time.Millisecond)
		m.Learn(fmt.Sprint(i), chatPath, []Change{{Omit, "user"}})
	}
	if len(m.all) != maxUpstreams || m.Recall("9", chatPath) != nil || m.Recall("10", chatPath) == nil {
		t.Errorf("the memory has %d upstreams, want the %d that were learned last", len(m.all), maxUpstreams)
	}
	for i := range 2 * maxChanges {
		m.Learn("x", chatPath, []Change{{OmitInItems, fmt.Sprint(i)}})
	}
	if got := m.Recall("x", chatPath); len(got) != maxChanges {
		t.Errorf("an upstream has %d changes, want %d", len(got), maxChanges)
	}
	m.Learn("y", chatPath, []Change{{Role, "system"}})
	m.Learn("y", chatPath, []Change{{Role, "merge"}})
	if got := m.Recall("y", chatPath); !cmp.Equal(got, []Change{{Role, "merge"}}) {
		t.Errorf("two roles are remembered: %v", got)
	}
	var none *Memory
	if none.Recall("a", chatPath) != nil || none.Learn("a", chatPath, []Change{{Omit, "user"}}) != nil {
		t.Error("no memory remembers")
	}
}

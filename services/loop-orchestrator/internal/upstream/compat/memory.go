package compat

import (
	"slices"
	"sync"
	"time"
)

const (
	maxUpstreams = 1024 // of a memory; a wildcard model makes one of every name
	maxChanges   = 16   // of an upstream
	// lifetime is how long a change is made before the server is tried without
	// it again: servers are upgraded.
	lifetime = time.Hour
)

// Memory is what refusals have taught about upstreams. It is safe for
// concurrent use; the zero value is ready to use, and a nil Memory forgets.
//
// It is not an expirable LRU of golang-lru: that one keeps a goroutine without
// an end, and a lesson expires from the time it was learned, however often it
// is used.
type Memory struct {
	// Now is the clock, time.Now if nil.
	Now func() time.Time

	mu  sync.Mutex
	all map[key]lesson
}

// key is an endpoint of an upstream.
type key struct{ origin, path string }

type lesson struct {
	changes []Change
	until   time.Time
}

func (m *Memory) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

// Recall returns what was learned about an upstream's endpoint within the last
// hour.
func (m *Memory) Recall(origin, path string) []Change {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.all[key{origin, path}]
	if !ok {
		return nil
	}
	if !m.now().Before(l.until) {
		delete(m.all, key{origin, path})
		return nil
	}
	return slices.Clone(l.changes)
}

// Learn keeps the changes with which a request was accepted and returns those
// that are new. If there are too many upstreams, it drops the oldest.
func (m *Memory) Learn(origin, path string, changes []Change) []Change {
	if m == nil || len(changes) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, now := key{origin, path}, m.now()
	l, known := m.all[k]
	if !known {
		l.until = now.Add(lifetime)
		m.makeRoom()
	}
	var fresh []Change
	for _, c := range changes {
		if !slices.Contains(l.changes, c) {
			fresh = append(fresh, c)
		}
	}
	l.changes = lastOfEach(slices.Concat(l.changes, fresh))
	l.changes = l.changes[max(len(l.changes)-maxChanges, 0):]
	m.all[k] = l
	return fresh
}

func (m *Memory) makeRoom() {
	if m.all == nil {
		m.all = map[key]lesson{}
	}
	if len(m.all) < maxUpstreams {
		return
	}
	var oldest key
	var until time.Time
	for k, l := range m.all {
		if until.IsZero() || l.until.Before(until) {
			oldest, until = k, l.until
		}
	}
	delete(m.all, oldest)
}

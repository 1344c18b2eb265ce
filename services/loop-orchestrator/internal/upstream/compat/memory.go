package compat

import (
	"slices"
	"sync"
	"time"
)

const (
	maxUpstreams = 1024 // of a memory; a wildcard model makes one of every name
	maxChanges   = 16   // of an upstream
	// lifetime is how long a change is made without asking again: servers are
	// upgraded.
	lifetime = time.Hour
)

// Memory holds what was learnt about upstreams. The zero Memory is empty. Safe
// for concurrent use.
type Memory struct {
	// Now is the clock, time.Now if nil.
	Now func() time.Time

	mu  sync.Mutex
	all map[key]lesson
}

// key is an upstream and an endpoint of it.
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

// Recall returns what was learnt about an upstream's endpoint within the last
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

// Learn keeps changes with which a request was accepted and returns those that
// are new. When there are too many upstreams, the oldest lesson is forgotten.
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
	l.changes = last(slices.Concat(l.changes, fresh))
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

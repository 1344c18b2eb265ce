// Package ledger records every call that the mock gets.
package ledger

import (
	"sync"
	"time"
)

const (
	// DefaultLimit is the number of entries kept by default.
	DefaultLimit = 2_000_000
	// chunkSize is the number of entries in a chunk. Entries never move, and a
	// growing ledger is never copied.
	chunkSize = 4096
)

// Entry is one call. It is in the ledger from its arrival; Ended, Status and
// Aborted are set at its end.
type Entry struct {
	Kind           string    `json:"kind"` // "model", "tool", "embedding" or "completion"
	Seed           int64     `json:"seed"`
	Round          int       `json:"round"`
	Index          int       `json:"index"` // 0 except for tools
	Tool           string    `json:"tool,omitempty"`
	IdempotencyKey string    `json:"idempotency_key,omitempty"`
	Attempt        int       `json:"attempt"` // from 1, by key, seed, round and index; 0 past the limit
	Started        time.Time `json:"started"`
	Ended          time.Time `json:"ended,omitzero"`
	Status         int       `json:"status"`  // 0 if no status line was sent
	Aborted        bool      `json:"aborted"` // the client left before the end
	RequestBytes   int       `json:"request_bytes"`

	AuthorizationPresent bool `json:"authorization_present"`

	// Usage of a model's reply; 0 if the call failed.
	PromptTokens     int `json:"prompt_tokens,omitempty"`
	CompletionTokens int `json:"completion_tokens,omitempty"`
}

// place identifies a step: its attempts have the same place.
type place struct {
	kind, key    string
	seed         int64
	round, index int
}

// Ledger keeps the entries and the attempt counts. Make it with New. Safe for
// concurrent use.
type Ledger struct {
	mu       sync.Mutex
	limit    int
	size     int
	dropped  int
	chunks   [][]Entry
	attempts map[place]int
}

// New returns a ledger that keeps limit entries.
func New(limit int) *Ledger { return &Ledger{limit: limit} }

// Begin records a call and returns its entry, with the attempt counted. Past
// the limit the entry is not kept. Only End changes it.
func (l *Ledger) Begin(e Entry) *Entry {
	at := place{e.Kind, e.IdempotencyKey, e.Seed, e.Round, e.Index}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, known := l.attempts[at]; known || len(l.attempts) < l.limit {
		if l.attempts == nil {
			l.attempts = make(map[place]int)
		}
		l.attempts[at], e.Attempt = n+1, n+1
	}
	if l.size >= l.limit {
		l.dropped++
		return &e
	}
	if l.size%chunkSize == 0 {
		l.chunks = append(l.chunks, make([]Entry, 0, chunkSize))
	}
	last := &l.chunks[len(l.chunks)-1]
	*last = append(*last, e)
	l.size++
	return &(*last)[len(*last)-1]
}

// End completes an entry that Begin returned.
func (l *Ledger) End(e *Entry, outcome Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Ended, e.Status, e.Aborted = outcome.Ended, outcome.Status, outcome.Aborted
	e.PromptTokens, e.CompletionTokens = outcome.PromptTokens, outcome.CompletionTokens
}

// Reset deletes the entries and the attempt counts: faults start again.
func (l *Ledger) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size, l.dropped, l.chunks, l.attempts = 0, 0, nil, nil
}

// chunk copies the n-th chunk. It is empty past the last.
func (l *Ledger) chunk(n int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n >= len(l.chunks) {
		return nil
	}
	return append([]Entry(nil), l.chunks[n]...)
}

// Dropped is the number of calls that did not fit.
func (l *Ledger) Dropped() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Entries copies the calls since the last reset, in order of arrival.
func (l *Ledger) Entries() []Entry {
	var all []Entry
	for n := 0; ; n++ {
		part := l.chunk(n)
		if len(part) == 0 {
			return all
		}
		all = append(all, part...)
	}
}

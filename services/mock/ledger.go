package mock

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	defaultLedgerCap = 2_000_000
	ledgerChunk      = 4096 // entries never move, and a growing ledger is never copied
)

// Entry is one call as the server saw it. It is in the ledger from the call's
// arrival; Ended, Status and Aborted are filled in when it is over.
type Entry struct {
	Kind           string    `json:"kind"` // "model", "tool", "embedding" or "completion"
	Seed           int64     `json:"seed"`
	Round          int       `json:"round"`
	Index          int       `json:"index"` // 0 for all but tools
	Tool           string    `json:"tool,omitempty"`
	IdempotencyKey string    `json:"idempotency_key,omitempty"`
	Attempt        int       `json:"attempt"` // from 1, by key, seed, round and index; 0 when past the cap
	Started        time.Time `json:"started"`
	Ended          time.Time `json:"ended,omitzero"`
	Status         int       `json:"status"`  // 0 when no status line was sent
	Aborted        bool      `json:"aborted"` // the client left before it had everything
	RequestBytes   int       `json:"request_bytes"`

	AuthorizationPresent bool `json:"authorization_present"`

	// What a model's reply said it used; 0 when it failed.
	PromptTokens     int `json:"prompt_tokens,omitempty"`
	CompletionTokens int `json:"completion_tokens,omitempty"`
}

// place identifies what is attempted again: the same step under the same key.
type place struct {
	kind, key    string
	seed         int64
	round, index int
}

// ledger keeps the entries and the attempt counts under one lock. The zero
// ledger needs its limit set.
type ledger struct {
	mu       sync.Mutex
	limit    int
	size     int
	dropped  int
	chunks   [][]Entry
	attempts map[place]int
}

// begin books a call and returns its entry, with the attempt counted. Past the
// cap the entry is not kept. Only end may write to it.
func (l *ledger) begin(e Entry) *Entry {
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
	if l.size%ledgerChunk == 0 {
		l.chunks = append(l.chunks, make([]Entry, 0, ledgerChunk))
	}
	last := &l.chunks[len(l.chunks)-1]
	*last = append(*last, e)
	l.size++
	return &(*last)[len(*last)-1]
}

// end completes an entry that begin returned.
func (l *ledger) end(e *Entry, outcome Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Ended, e.Status, e.Aborted = outcome.Ended, outcome.Status, outcome.Aborted
	e.PromptTokens, e.CompletionTokens = outcome.PromptTokens, outcome.CompletionTokens
}

func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size, l.dropped, l.chunks, l.attempts = 0, 0, nil, nil
}

// chunk copies the n-th run of entries; it is empty past the last.
func (l *ledger) chunk(n int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n >= len(l.chunks) {
		return nil
	}
	return append([]Entry(nil), l.chunks[n]...)
}

func (l *ledger) droppedCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Ledger copies the calls seen since the last reset, in order of arrival.
func (s *Server) Ledger() []Entry {
	var all []Entry
	for n := 0; ; n++ {
		part := s.ledger.chunk(n)
		if len(part) == 0 {
			return all
		}
		all = append(all, part...)
	}
}

// Dropped counts the calls that no longer fitted into the ledger.
func (s *Server) Dropped() int { return s.ledger.droppedCount() }

// Reset empties the ledger and forgets all attempts: faults start afresh.
func (s *Server) Reset() { s.ledger.reset() }

func (s *Server) readLedger(w http.ResponseWriter, r *http.Request) {
	kind, seedText := r.URL.Query().Get("kind"), r.URL.Query().Get("seed")
	seed, err := strconv.ParseInt(seedText, 10, 64)
	if seedText != "" && err != nil {
		http.Error(w, "seed is not a whole number", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Ledger-Dropped", strconv.Itoa(s.Dropped()))
	separator := "["
	for n := 0; ; n++ {
		part := s.ledger.chunk(n)
		if len(part) == 0 {
			break
		}
		for i := range part {
			if (seedText != "" && part[i].Seed != seed) || (kind != "" && part[i].Kind != kind) {
				continue
			}
			raw, err := json.Marshal(&part[i])
			if err != nil {
				return
			}
			if _, err := w.Write(append([]byte(separator), raw...)); err != nil {
				return
			}
			separator = ",\n"
		}
	}
	if separator == "[" {
		_, _ = w.Write([]byte("["))
	}
	_, _ = w.Write([]byte("]\n"))
}

func (s *Server) deleteLedger(w http.ResponseWriter, _ *http.Request) {
	s.Reset()
	w.WriteHeader(http.StatusNoContent)
}

package ledger

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// ServeEntries answers GET /ledger?seed=&kind=.
func (l *Ledger) ServeEntries(w http.ResponseWriter, r *http.Request) {
	kind, seedText := r.URL.Query().Get("kind"), r.URL.Query().Get("seed")
	seed, err := strconv.ParseInt(seedText, 10, 64)
	if seedText != "" && err != nil {
		http.Error(w, "seed is not a whole number", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Ledger-Dropped", strconv.Itoa(l.Dropped()))
	separator := "["
	for n := 0; ; n++ {
		part := l.chunk(n)
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

// ServeReset answers DELETE /ledger.
func (l *Ledger) ServeReset(w http.ResponseWriter, _ *http.Request) {
	l.Reset()
	w.WriteHeader(http.StatusNoContent)
}

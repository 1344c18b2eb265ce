package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"windlass.dev/windlass/pkg/store/pgstat"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/processes"
	"windlass.dev/windlass/services/mock"
)

// Traffic counts what a NATS server received and sent since its start.
type Traffic struct{ Messages, Bytes int64 }

// Reading is every counter of the stack at one moment.
type Reading struct {
	PG      pgstat.Counters
	NATS    Traffic
	CPU     map[string]time.Duration
	Machine time.Duration // processor time of the whole machine
}

// OtherPrograms is the share of the machine, from 0 to 1, that programs outside
// the stack used.
func (r Reading) OtherPrograms(took time.Duration) float64 {
	rest := r.Machine
	for _, used := range r.CPU {
		rest -= used
	}
	return max(0, rest.Seconds()/took.Seconds()/float64(runtime.NumCPU()))
}

// Sub returns what was added since an earlier Reading.
func (r Reading) Sub(earlier Reading) Reading {
	cpu := make(map[string]time.Duration, len(r.CPU))
	for group, used := range r.CPU {
		cpu[group] = used - earlier.CPU[group]
	}
	return Reading{
		PG:      r.PG.Sub(earlier.PG),
		NATS:    Traffic{r.NATS.Messages - earlier.NATS.Messages, r.NATS.Bytes - earlier.NATS.Bytes},
		CPU:     cpu,
		Machine: r.Machine - earlier.Machine,
	}
}

func (s *Stack) Read(ctx context.Context) (r Reading, err error) {
	if r.PG, err = pgstat.Snapshot(ctx, s.PG.URL()); err != nil {
		return Reading{}, err
	}
	if r.NATS, err = s.traffic(ctx); err != nil {
		return Reading{}, err
	}
	r.CPU, r.Machine = s.IDs.CPU(), processes.MachineCPU()
	return r, nil
}

func (s *Stack) traffic(ctx context.Context) (Traffic, error) {
	var seen struct {
		InMsgs   int64 `json:"in_msgs"`
		OutMsgs  int64 `json:"out_msgs"`
		InBytes  int64 `json:"in_bytes"`
		OutBytes int64 `json:"out_bytes"`
	}
	if err := s.call(ctx, http.MethodGet, s.nats+"/varz", &seen); err != nil {
		return Traffic{}, fmt.Errorf("read the NATS server's counters: %w", err)
	}
	return Traffic{seen.InMsgs + seen.OutMsgs, seen.InBytes + seen.OutBytes}, nil
}

// Ledger reads the ledger of the scripted model and tools.
func (s *Stack) Ledger(ctx context.Context) ([]mock.Entry, error) {
	var entries []mock.Entry
	if err := s.call(ctx, http.MethodGet, s.MockURL+"/ledger", &entries); err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return entries, nil
}

// ClearLedger empties the ledger.
func (s *Stack) ClearLedger(ctx context.Context) error {
	if err := s.call(ctx, http.MethodDelete, s.MockURL+"/ledger", nil); err != nil {
		return fmt.Errorf("empty the ledger: %w", err)
	}
	return nil
}

// call decodes the answer into reply unless that is nil. It fails if the ledger
// is full: the audit of a part proves nothing.
func (s *Stack) call(ctx context.Context, method, url string, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, load.RunLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	resp, err := s.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	if lost := resp.Header.Get("Ledger-Dropped"); lost != "" && lost != "0" {
		return errors.New("the ledger is full; measure for a shorter time")
	}
	if reply == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(reply)
}

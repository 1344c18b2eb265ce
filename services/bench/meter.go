package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"windlass.dev/windlass/pkg/store/pgstat"
	"windlass.dev/windlass/services/mock"
)

// traffic is what a NATS server has seen since its start, both ways.
type traffic struct{ messages, bytes int64 }

// reading is every counter of the stack at one moment.
type reading struct {
	pg   pgstat.Counters
	nats traffic
	cpu  map[string]time.Duration
	all  time.Duration // processor time of the whole machine
}

// others is the share of the machine that went to what does not belong to the stack, from 0 to 1.
func (r reading) others(took time.Duration) float64 {
	rest := r.all
	for _, used := range r.cpu {
		rest -= used
	}
	return max(0, rest.Seconds()/took.Seconds()/float64(runtime.NumCPU()))
}

// sub is what was added since an earlier reading.
func (r reading) sub(earlier reading) reading {
	cpu := make(map[string]time.Duration, len(r.cpu))
	for group, used := range r.cpu {
		cpu[group] = used - earlier.cpu[group]
	}
	return reading{
		pg: r.pg.Sub(earlier.pg), nats: traffic{r.nats.messages - earlier.nats.messages, r.nats.bytes - earlier.nats.bytes}, cpu: cpu,
		all: r.all - earlier.all,
	}
}

func (s *stack) read(ctx context.Context) (r reading, err error) {
	if r.pg, err = pgstat.Snapshot(ctx, s.pg.URL()); err != nil {
		return reading{}, err
	}
	if r.nats, err = s.traffic(ctx); err != nil {
		return reading{}, err
	}
	r.cpu, r.all = s.ids.cpu(), machine()
	return r, nil
}

func (s *stack) traffic(ctx context.Context) (traffic, error) {
	var seen struct {
		InMsgs   int64 `json:"in_msgs"`
		OutMsgs  int64 `json:"out_msgs"`
		InBytes  int64 `json:"in_bytes"`
		OutBytes int64 `json:"out_bytes"`
	}
	if err := s.ask(ctx, http.MethodGet, s.nats+"/varz", &seen); err != nil {
		return traffic{}, fmt.Errorf("read the NATS server's counters: %w", err)
	}
	return traffic{seen.InMsgs + seen.OutMsgs, seen.InBytes + seen.OutBytes}, nil
}

func (s *stack) ledger(ctx context.Context) ([]mock.Entry, error) {
	var entries []mock.Entry
	if err := s.ask(ctx, http.MethodGet, s.mockURL+"/ledger", &entries); err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return entries, nil
}

func (s *stack) forget(ctx context.Context) error {
	if err := s.ask(ctx, http.MethodDelete, s.mockURL+"/ledger", nil); err != nil {
		return fmt.Errorf("empty the ledger: %w", err)
	}
	return nil
}

// ask decodes the answer into reply, if that is not nil. A ledger that is full fails it: an audit of a part proves nothing.
func (s *stack) ask(ctx context.Context, method, url string, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	resp, err := s.http.Do(req)
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

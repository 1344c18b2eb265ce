package mock_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/services/mock"
)

// lastEntry waits until the newest entry is the wanted one.
func lastEntry(t testing.TB, s *mock.Server, wanted func(mock.Entry) bool) mock.Entry {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	for {
		entries := s.Ledger()
		if n := len(entries); n > 0 && wanted(entries[n-1]) {
			return entries[n-1]
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("no such entry in time: %+v", entries)
		}
	}
}

func readLedger(t testing.TB, url, query string) []mock.Entry {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/ledger"+query, nil)
	if err != nil {
		t.Fatalf("make request: %v", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("read ledger: %v", err)
	}
	defer resp.Body.Close()
	var entries []mock.Entry
	if err := json.NewDecoder(resp.Body).Decode(&entries); err != nil {
		t.Fatalf("decode ledger: %v", err)
	}
	return entries
}

func TestLedgerTellsEveryCall(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	p := mock.Plan{Seed: 4, Rounds: 1, Width: 2}
	began := time.Now()
	l := newLoop(t, url, p.Prompt())
	l.run()
	if _, _, err := l.read("/v1/chat/completions", l.request(), "Authorization", "Bearer x", "Idempotency-Key", "k"); err != nil {
		t.Fatalf("call again: %v", err)
	}
	newLoop(t, url, mock.Plan{Seed: 5}.Prompt()).run()
	want := []mock.Entry{
		{Kind: "model", Seed: 4, Attempt: 1, Status: 200, CompletionTokens: 2},
		{Kind: "tool", Seed: 4, Tool: "mock_echo", IdempotencyKey: "key-own_0_0", Attempt: 1, Status: 200},
		{Kind: "tool", Seed: 4, Index: 1, Tool: "mock_echo", IdempotencyKey: "key-own_0_1", Attempt: 1, Status: 200},
		{Kind: "model", Seed: 4, Round: 1, Attempt: 1, Status: 200, CompletionTokens: 4},
		{Kind: "model", Seed: 4, Round: 1, Attempt: 1, Status: 200, CompletionTokens: 4, IdempotencyKey: "k", AuthorizationPresent: true},
		{Kind: "model", Seed: 5, Attempt: 1, Status: 200, CompletionTokens: 4},
	}
	got := readLedger(t, url, "")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(mock.Entry{}, "Started", "Ended", "RequestBytes", "PromptTokens")); diff != "" {
		t.Fatalf("ledger (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(s.Ledger(), got, cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("ledger over HTTP differs from Ledger() (-want +got):\n%s", diff)
	}
	for i, e := range got {
		if e.Started.Before(began) || e.Ended.Before(e.Started) || e.RequestBytes == 0 || (e.Kind == "model") != (e.PromptTokens > 0) {
			t.Errorf("entry %d has odd times or sizes: %+v", i, e)
		}
	}
	for query, n := range map[string]int{"?seed=4": 5, "?seed=5": 1, "?seed=6": 0, "?kind=tool": 2, "?seed=4&kind=model": 3} {
		if got := readLedger(t, url, query); len(got) != n {
			t.Errorf("ledger%s has %d entries, want %d", query, len(got), n)
		}
	}
}

func TestLedgerResetStartsFaultsAfresh(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	p := mock.Plan{Seed: 4, ModelFaults: []mock.Fault{{Times: 1, Status: 500}}}
	l := newLoop(t, url, p.Prompt())
	for _, want := range []int{500, 200, 500, 200} {
		status, _, err := l.read("/v1/chat/completions", l.request())
		if err != nil || status != want {
			t.Errorf("model answered %d, error %v, want %d", status, err, want)
		}
		if want == 500 {
			continue
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, url+"/ledger", nil)
		resp, err := l.client.Do(req)
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Fatalf("reset answered %+v, error %v", resp, err)
		}
		_ = resp.Body.Close()
		if left := s.Ledger(); len(left) != 0 {
			t.Errorf("ledger has %d entries after its reset", len(left))
		}
	}
}

func TestLedgerShowsCallsInFlight(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	l := newLoop(t, url, mock.Plan{Seed: 1, ThinkMS: 3_600_000}.Prompt())
	done := make(chan error, 1)
	go func() {
		_, _, err := l.read("/v1/chat/completions", l.request())
		done <- err
	}()
	lastEntry(t, s, func(e mock.Entry) bool { return e.Seed == 1 && e.Ended.IsZero() && e.Status == 0 })
	s.Close()
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Errorf("cut call ended with %v, want its connection closed", err)
	}
	if e := s.Ledger()[0]; !e.Aborted || e.Ended.IsZero() {
		t.Errorf("cut call is booked as %+v, want aborted and ended", e)
	}
}

func TestLedgerIsBounded(t *testing.T) {
	t.Parallel()
	s, url := serve(t, mock.LedgerCap(5))
	l := newLoop(t, url, "")
	for i := range 8 { // a fault for the first attempts must end even if no attempt is counted
		l.messages = []object{{"role": "user", "content": mock.Plan{Seed: int64(i), ModelFaults: []mock.Fault{{Times: 1}}}.Prompt()}}
		status, _, err := l.read("/v1/chat/completions", l.request())
		if want := map[bool]int{true: 500, false: 200}[i < 5]; err != nil || status != want {
			t.Errorf("call %d answered %d, error %v, want %d", i, status, err, want)
		}
	}
	if kept, dropped := len(s.Ledger()), s.Dropped(); kept != 5 || dropped != 3 {
		t.Errorf("ledger of 5 kept %d and dropped %d of 8 calls", kept, dropped)
	}
}

func TestLedgerUnderConcurrentCalls(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	const clients, runs = 4, 20
	var wg sync.WaitGroup
	for c := range clients {
		l := newLoop(t, url, "")
		wg.Go(func() {
			for n := range runs {
				p := mock.Plan{Seed: int64(c*runs + n + 1), Rounds: 2, Width: 5}
				l.messages = []object{{"role": "user", "content": p.Prompt()}}
				if got, want := l.run(), p.Answer(); got != want {
					t.Errorf("seed %d says %q, want %q", p.Seed, got, want)
				}
			}
		})
	}
	wg.Wait()
	type at struct {
		kind         string
		seed         int64
		round, index int
	}
	times := map[at]int{}
	for _, e := range s.Ledger() {
		times[at{e.Kind, e.Seed, e.Round, e.Index}]++
		if e.Status != 200 || e.Attempt != 1 {
			t.Errorf("entry is %+v, want the first attempt and 200", e)
		}
	}
	if want := clients * runs * 13; len(times) != want || len(s.Ledger()) != want {
		t.Errorf("ledger has %d entries of %d calls, want %d of as many", len(s.Ledger()), len(times), want)
	}
}

func BenchmarkTool(b *testing.B) {
	_, url := serve(b)
	l := newLoop(b, url, "")
	for n := 0; b.Loop(); n++ {
		body := fmt.Sprintf(`{"seed":%d,"round":0,"index":0,"ms":0,"bytes":0}`, n)
		if status, _, err := l.read("/tools/mock_echo", body); err != nil || status != http.StatusOK {
			b.Fatalf("tool answered %d, error %v", status, err)
		}
	}
}

// BenchmarkRun is 3 rounds of 5 tools: 19 sequential calls, client included.
func BenchmarkRun(b *testing.B) {
	s, url := serve(b)
	l := newLoop(b, url, "")
	for n := 0; b.Loop(); n++ {
		p := mock.Plan{Seed: int64(n), Rounds: 3, Width: 5}
		l.messages, l.rounds = []object{{"role": "user", "content": p.Prompt()}}, 0
		if got, want := l.run(), p.Answer(); got != want {
			b.Fatalf("seed %d says %q, want %q", n, got, want)
		}
	}
	b.ReportMetric(float64(len(s.Ledger()))/b.Elapsed().Seconds(), "calls/s")
}

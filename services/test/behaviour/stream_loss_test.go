package behaviour

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/test/stack"
	"windlass.dev/windlass/services/test/streamcheck"
)

// leftAt is the position at which the tests' reader leaves, in the middle of
// the deltas.
const leftAt = 11

// leave creates a streamed background response with an Idempotency-Key, reads
// it up to the position leftAt, and hangs up.
func leave(t *testing.T, s *stack.Stack, key string) (id string) {
	t.Helper()
	resp := keyedStream(t, s, key)
	defer func() { _ = resp.Body.Close() }()
	in := bufio.NewReader(resp.Body)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			t.Fatalf("the stream ended before event %d: %v", leftAt, err)
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		var e struct {
			Number   int `json:"sequence_number"`
			Response struct{ ID string }
		}
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatal(err)
		}
		if id == "" {
			id = e.Response.ID
		}
		if e.Number == leftAt {
			return id
		}
	}
}

func keyedStream(t *testing.T, s *stack.Stack, key string) *http.Response {
	t.Helper()
	body, err := json.Marshal(map[string]any{"model": "stops", "input": "hi", "background": true, "stream": true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/responses", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Key)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the stream is answered %d", resp.StatusCode)
	}
	return resp
}

// wantRefused checks that a reader at the position learns that its events were
// lost: one error event, behind what it has, and the end.
func wantRefused(t *testing.T, s *stack.Stack, id string, after int) {
	t.Helper()
	raw := s.Resume(t, id, after)
	frames, rest := streamcheck.Frames(raw)
	if len(frames) != 2 || len(rest) > 0 || frames[0].Event != "error" || string(frames[1].Data) != "[DONE]" ||
		!strings.Contains(string(frames[0].Data), `"stream_lost"`) ||
		!strings.Contains(string(frames[0].Data), fmt.Sprintf(`"sequence_number":%d,`, after+1)) {
		t.Errorf("after event %d of a stream that was lost came\n%s\nwant the error stream_lost", after, excerpt(raw))
	}
}

// wantWhole checks that readers from the start, with and without the key, get
// the same whole stream.
func wantWhole(t *testing.T, s *stack.Stack, id, key string) {
	t.Helper()
	whole := s.Resume(t, id, -1)
	if got := stack.Streamed(t, whole); got.ID != id || strings.Count(got.Text(), "w") != wordsInAll {
		t.Errorf("the stream from its start is of %s and says %q, want %d words", got.ID, got.Text(), wordsInAll)
	}
	resp := keyedStream(t, s, key)
	defer func() { _ = resp.Body.Close() }()
	again := new(bytes.Buffer)
	if _, err := again.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), whole) {
		t.Errorf("the keyed repeat is\n%s\nwant\n%s", excerpt(again.Bytes()), excerpt(whole))
	}
}

// upstream is a model that stops in the middle of its first answer until the
// test lets it go on or break off.
type upstream struct {
	calls atomic.Int32
	goOn  chan bool // false: the connection breaks off
}

const (
	wordsBefore = 10
	wordsInAll  = 30
)

func (u *upstream) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	first := u.calls.Add(1) == 1
	for n := range wordsInAll {
		if first && n == wordsBefore && !<-u.goOn {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"w%d \"}}]}\n\n", n)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
	}
	fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":30,\"total_tokens\":31}}\n\ndata: [DONE]\n\n")
}

// TestAPositionOfALostStreamIsRefused lets the broker lose the stream of a
// response whose reader has left at event 11. A reader that continues there
// gets the error stream_lost, and one that reads from the start gets all of one
// numbering.
func TestAPositionOfALostStreamIsRefused(t *testing.T) {
	t.Parallel()
	for name, goesOn := range map[string]bool{
		"the attempt goes on":    true,  // what follows the loss has no beginning: there is no archive
		"another attempt begins": false, // and is archived
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := &upstream{goOn: make(chan bool, 1)}
			model := httptest.NewServer(u)
			t.Cleanup(model.Close)
			s := stack.Start(t, func(file *registry.File, _ string) {
				m := file.Models[0]
				m.Name, m.Upstream.URL, m.Timeout = "stops", model.URL, 20*time.Second
				file.Models = append(file.Models, m)
			})
			t.Cleanup(func() { close(u.goOn) })
			id := leave(t, s, name)
			readers := make(chan []byte, 3)
			var all sync.WaitGroup
			for _, after := range []int{leftAt, leftAt, -1} {
				all.Go(func() { readers <- s.Resume(t, id, after) })
			}
			s.Broker.Lose("WINDLASS_LIVE")
			u.goOn <- goesOn
			wantRefused(t, s, id, leftAt)
			if got := s.Wait(t, id); got.Status != "completed" {
				t.Fatalf("the response is %s\n%s", got.Status, excerpt(got.JSON))
			}
			all.Wait()
			close(readers)
			for raw := range readers {
				if !strings.Contains(string(raw), "stream_lost") && streamcheck.Check(raw) != nil {
					t.Errorf("a reader that was there at the loss got\n%s\nwant a whole stream or the error stream_lost", excerpt(raw))
				}
			}
			for _, after := range []int{2, leftAt, leftAt + 1} {
				wantRefused(t, s, id, after)
			}
			wantWhole(t, s, id, name)
			if got := eventTypes(s.Resume(t, id, 1)); len(got) == 0 || got[0] != "response.in_progress" {
				t.Errorf("behind the events that every numbering has come %v", got)
			}
		})
	}
}

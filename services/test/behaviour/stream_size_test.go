package behaviour

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
	"windlass.dev/windlass/services/test/streamcheck"
)

// answerIn sends a text as so many deltas.
func answerIn(deltas int, delta string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		chunk := fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", delta)
		for range deltas {
			if _, err := w.Write([]byte(chunk)); err != nil {
				return
			}
		}
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	}
}

// TestI45DeltasOfAllSizes streams very many deltas, and a very large one. The
// deltas join to the text that is stored, and a reader that comes later gets
// the same bytes.
func TestI45DeltasOfAllSizes(t *testing.T) { //nolint:paralleltest // it measures the heap
	for name, tt := range map[string]struct { //nolint:paralleltest // as above
		deltas int
		delta  string
	}{
		"100,000 deltas of a byte": {100_000, "x"},
		"one of 10 MB":             {1, strings.Repeat("y", 10_000_000)},
	} {
		t.Run(name, func(t *testing.T) {
			model := httptest.NewServer(answerIn(tt.deltas, tt.delta))
			t.Cleanup(model.Close)
			s := stack.Start(t, func(file *registry.File, _ string) {
				file.Models[0].Upstream.URL, file.Models[0].Timeout = model.URL, time.Minute
			})
			raw := s.Stream(t, mock.Plan{Seed: 4500}, nil)
			var joined strings.Builder
			frames, _ := streamcheck.Frames(raw)
			deltas := 0
			for _, f := range frames {
				if f.Event != "response.output_text.delta" {
					continue
				}
				var e struct{ Delta string }
				if err := json.Unmarshal(f.Data, &e); err != nil {
					t.Fatal(err)
				}
				joined.WriteString(e.Delta)
				deltas++
			}
			end := stack.Streamed(t, raw)
			if got := s.Get(t, end.ID).Text(); joined.String() != got || len(got) != tt.deltas*len(tt.delta) {
				t.Errorf("%d bytes in deltas, %d stored, want %d of both", joined.Len(), len(got), tt.deltas*len(tt.delta))
			}
			if again := s.Resume(t, end.ID, -1); string(again) != string(raw) {
				t.Errorf("read again the stream has %d bytes, and %d at first", len(again), len(raw))
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if m.Sys > 2<<30 { // of all services and of this test, which holds the stream three times
				t.Errorf("the process took %d MiB from the system", m.Sys>>20)
			}
			t.Logf("%d deltas, %d bytes of events, the whole stack took %d MiB from the system", deltas, len(raw), m.Sys>>20)
		})
	}
}

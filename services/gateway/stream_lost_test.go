package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/test/streamcheck"
)

// TestAStreamWithAHoleNeverEndsAsWhole lets the last frame come before the turn
// is complete: the rest comes from the archive, and without one the stream ends
// with an error. Neither does a position of a stream that was not archived mean
// anything later.
func TestAStreamWithAHoleNeverEndsAsWhole(t *testing.T) {
	t.Parallel()
	inProgress := event.Response("response.in_progress", []byte(`{"id":"resp_1"}`))
	for name, archived := range map[string]bool{"archived": true, "not archived": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := raise(t, func(cfg *Config) { cfg.PollInterval = 20e6 })
			if err := s.bus.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: "m", Concurrency: 1}}}); err != nil {
				t.Fatal(err)
			}
			answer := s.later(http.MethodPost, "/v1/responses", `{"model":"m","input":"hi","background":true,"stream":true}`)
			row := s.claim()
			frames := &stepv1.LiveFrames{
				RequestId: run.Hex(row.ID), Epoch: uint32(row.Epoch), Turn: 1, Attempt: 1, Number: 1,
				Frames: []*stepv1.LiveFrame{livestream.Snapshot(inProgress)},
			}
			if _, err := s.bus.EndLive(t.Context(), frames, 0); err != nil {
				t.Fatal(err)
			}
			s.finish(row, run.Completed, `{"output":[],"usage":{}}`)
			if archived {
				a := livestream.NewArchive()
				for _, e := range append(livestream.Opening(row.ID, &responses.Create{Background: true}), inProgress, inProgress) {
					if err := a.Add(e); err != nil {
						t.Fatal(err)
					}
				}
				kept, err := a.Bytes()
				if err == nil {
					err = s.store.Archive(t.Context(), row.ID, kept)
				}
				if err != nil {
					t.Fatal(err)
				}
			} else if err := s.store.Finish(t.Context(), row.ID); err != nil {
				t.Fatal(err)
			}
			s.bus.Announce(message.Live(&stepv1.LiveFrames{
				RequestId: run.Hex(row.ID), Epoch: uint32(row.Epoch), Turn: 1, Attempt: livestream.Settled,
				Frames: []*stepv1.LiveFrame{livestream.Last(true)},
			}))
			want := []string{"response.created", "response.queued", "response.in_progress", "response.in_progress", "response.completed", ""}
			if !archived {
				want = []string{"response.created", "response.queued", "response.in_progress", "error", ""}
			}
			if diff := cmp.Diff(want, eventsOf((<-answer).body)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			again := s.call(http.MethodGet, "/v1/responses/resp_"+run.Hex(row.ID)+"?stream=true&starting_after=2", "")
			if diff := cmp.Diff(want[3:], eventsOf(again.body)); diff != "" {
				t.Errorf("events after 2 (-want +got):\n%s", diff)
			}
		})
	}
}

// eventsOf returns the events' types; that of [DONE] is empty.
func eventsOf(raw []byte) (types []string) {
	frames, _ := streamcheck.Frames(raw)
	for _, f := range frames {
		types = append(types, f.Event)
	}
	return types
}

// A stream that cannot be whole any more says so, in the words of both
// dialects, and is over; its response is not.
func TestAStreamThatHasLostFramesEndsWithAnError(t *testing.T) {
	t.Parallel()
	s := raise(t, func(cfg *Config) { cfg.PollInterval = 20e6 })
	if err := s.bus.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: "m", Concurrency: 1}}}); err != nil {
		t.Fatal(err)
	}
	read := make(chan []byte, 1)
	go func() {
		defer close(read)
		resp, err := s.http.Do(s.request(t.Context(), http.MethodPost, "/v1/responses", `{"model":"m","input":"hi","background":true,"stream":true}`))
		if err != nil {
			return
		}
		defer func() { _ = resp.Body.Close() }()
		raw, _ := io.ReadAll(resp.Body) // what there is of it is judged
		read <- raw
	}()
	row := s.claim()
	say := func(number uint32, frames ...*stepv1.LiveFrame) {
		s.bus.Announce(message.Live(&stepv1.LiveFrames{
			RequestId: run.Hex(row.ID), Epoch: uint32(row.Epoch), Turn: 1, Attempt: 1, Number: number, Frames: frames,
		}))
	}
	say(1, livestream.Snapshot(event.Response("response.in_progress", []byte(`{"id":"resp_1"}`))))
	say(3, livestream.Frame(event.Response("response.in_progress", []byte(`{"id":"resp_1"}`)), ""))
	frames, rest := streamcheck.Frames(<-read)
	if len(frames) != 5 || len(rest) > 0 || string(frames[4].Data) != "[DONE]" || frames[3].Event != "error" {
		t.Fatalf("the stream is %+v, want three events, an error and its end", frames)
	}
	if err := openapitest.Event(t, frames[3].Data); err != nil {
		t.Error(err)
	}
	var e struct {
		Sequence      int `json:"sequence_number"`
		Code, Message string
		Error         struct{ Code, Message string }
	}
	if err := json.Unmarshal(frames[3].Data, &e); err != nil || e.Sequence != 3 || e.Code != "stream_lost" || e.Error.Code != e.Code || e.Message == "" || e.Error.Message != e.Message {
		t.Errorf("the error is %s", frames[3].Data)
	}
	if got := s.call(http.MethodGet, "/v1/responses/resp_"+run.Hex(row.ID), "").object(t)["status"]; got != "in_progress" {
		t.Errorf("the response is %v, want it in progress", got)
	}
}

package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/test/streamcheck"
)

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

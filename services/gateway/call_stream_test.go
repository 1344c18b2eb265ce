package gateway

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/stream"
	"windlass.dev/windlass/services/internal/livestream"
)

const streamBody = `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}`

// chunks is a streamed call on both ends: the client that reads, and the
// orchestrator and the finalizer that the test plays.
type chunks struct {
	*stand
	row    run.Row
	hangUp context.CancelFunc
	answer chan *http.Response
}

// startChunks sends the request and claims it.
func startChunks(t *testing.T, change ...func(*Config)) *chunks {
	t.Helper()
	s := raise(t, change...)
	if err := s.bus.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: "m", Concurrency: 1}}}); err != nil {
		t.Fatal(err)
	}
	c := &chunks{stand: s, answer: make(chan *http.Response, 1)}
	ctx, hangUp := context.WithCancel(t.Context())
	c.hangUp = hangUp
	t.Cleanup(hangUp)
	go func() {
		defer close(c.answer)
		resp, err := s.http.Do(s.request(ctx, "POST", chatPath, streamBody)) //nolint:bodyclose // the caller closes it
		if err == nil {
			c.answer <- resp
		}
	}()
	c.row = s.claim()
	return c
}

func (c *chunks) id(attempt int) *stepv1.StepIdentity {
	return &stepv1.StepIdentity{RequestId: run.Hex(c.row.ID), Epoch: uint32(c.row.Epoch), Turn: 1, Attempt: uint32(attempt)}
}

// write writes frames as an attempt of the call.
func (c *chunks) write(attempt int, frames ...*stepv1.LiveFrame) {
	c.tb.Helper()
	w := c.bus.OpenLive(c.tb.Context(), c.id(attempt))
	w.Write(frames...)
	if err := w.Flush(c.tb.Context()); err != nil {
		c.tb.Fatal(err)
	}
	w.Close()
}

func first(data string) *stepv1.LiveFrame {
	return livestream.Snapshot(event.Event{Data: []byte(data)})
}

func next(data string) *stepv1.LiveFrame {
	return livestream.Frame(event.Event{Data: []byte(data)}, "")
}

var complete = livestream.Mark(stepv1.LiveKind_LIVE_KIND_COMPLETE)

// settle commits and settles; last says whether the stream gets its last frame
// as well.
func (c *chunks) settle(t run.TurnCommit, last bool) {
	c.tb.Helper()
	c.commit(c.row, t)
	err := c.store.Settle(c.tb.Context(), store.Settlement{ID: c.row.ID, Epoch: c.row.Epoch, Status: t.Outcome, AfterWork: true})
	if err != nil {
		c.tb.Fatal(err)
	}
	if !last {
		return
	}
	behind, err := c.bus.Stored(c.tb.Context(), run.Hex(c.row.ID), func(*stepv1.LiveFrames) error { return nil })
	if err != nil {
		c.tb.Fatal(err)
	}
	end := &stepv1.LiveFrames{
		RequestId: run.Hex(c.row.ID), Epoch: uint32(c.row.Epoch), Turn: 1, Attempt: livestream.Settled,
		Frames: []*stepv1.LiveFrame{livestream.Mark(stepv1.LiveKind_LIVE_KIND_LAST)},
	}
	if ended, err := c.bus.EndLive(c.tb.Context(), end, behind); err != nil || !ended {
		c.tb.Fatalf("EndLive = %v, %v", ended, err)
	}
}

var streamed = run.TurnCommit{Output: []byte(`{"chunks":2}`), Outcome: run.Completed}

// head waits for the answer to begin.
func (c *chunks) head() (*http.Response, *bufio.Reader) {
	c.tb.Helper()
	resp, ok := <-c.answer
	if !ok {
		c.tb.Fatal("no answer came")
	}
	c.tb.Cleanup(func() { _ = resp.Body.Close() })
	return resp, bufio.NewReader(resp.Body)
}

func (c *chunks) stream() *bufio.Reader {
	c.tb.Helper()
	resp, body := c.head() //nolint:bodyclose // closed by its cleanup
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") ||
		resp.Header.Get("X-Accel-Buffering") != "no" || resp.Header.Get(answer.RequestHeader) != callPrefix+run.Hex(c.row.ID) {
		c.tb.Fatalf("answered %d %v, want a stream", resp.StatusCode, resp.Header)
	}
	return body
}

// frame reads one frame.
func (c *chunks) frame(body *bufio.Reader, want string) {
	c.tb.Helper()
	line, err := body.ReadString('\n')
	blank, err2 := body.ReadString('\n')
	if err != nil || err2 != nil || line != "data: "+want+"\n" || blank != "\n" {
		c.tb.Fatalf("read %q, %q, %v; want the frame of %s", line, blank, err, want)
	}
}

// rest reads to the end.
func (c *chunks) rest(body *bufio.Reader, want string) {
	c.tb.Helper()
	got, err := io.ReadAll(body)
	if err != nil || string(got) != want {
		c.tb.Errorf("the rest is %q, %v; want %q", got, err, want)
	}
}

// refused reads an answer that is an error.
func (c *chunks) refused(status int, code, retry string) {
	c.tb.Helper()
	resp, body := c.head() //nolint:bodyclose // closed by its cleanup
	text, err := io.ReadAll(body)
	r := reply{resp.StatusCode, resp.Header, text}
	if err != nil || r.status != status || r.fault(c.tb)["code"] != code || r.header.Get("X-Should-Retry") != retry ||
		r.header.Get(answer.RequestHeader) != callPrefix+run.Hex(c.row.ID) {
		c.tb.Errorf("answered %d %v %s, %v; want %d %s, X-Should-Retry %q", r.status, r.header, r.body, err, status, code, retry)
	}
}

func (c *chunks) cancelled() {
	c.tb.Helper()
	eventually(c.tb, "the cancel of an unread call", func() bool { return c.look(c.row.ID).Status == run.Cancelled })
}

func TestChunksAreSentAsTheyCome(t *testing.T) {
	t.Parallel()
	c := startChunks(t)
	w := c.bus.OpenLive(t.Context(), c.id(1))
	w.Write(first(`{"n":1}`))
	body := c.stream()
	c.frame(body, `{"n":1}`)
	w.Write(next(`{"n":2}`), complete)
	c.frame(body, `{"n":2}`)
	w.Close()
	c.settle(streamed, true)
	c.rest(body, "data: [DONE]\n\n")
}

func TestAStreamThatFailsBeforeItsFirstChunkIsAnHTTPError(t *testing.T) {
	t.Parallel()
	c := startChunks(t)
	c.settle(failedCall(run.Failure{Code: "c", HTTPStatus: 422, Own: []byte(`{"message":"No.","type":"t","param":null,"code":"own"}`)}), true)
	c.refused(422, "own", "")
}

func TestAStreamThatFailsLaterEndsWithAnErrorChunk(t *testing.T) {
	t.Parallel()
	c := startChunks(t)
	c.write(1, first(`{"n":1}`))
	body := c.stream()
	c.frame(body, `{"n":1}`)
	c.settle(failedCall(run.Failure{Code: "server_error", Message: "Oops.", HTTPStatus: 500}), true)
	c.frame(body, `{"error":{"message":"Oops.","type":"server_error","param":null,"code":"server_error"}}`)
	c.rest(body, "data: [DONE]\n\n")
}

func TestChunksOfTwoAttemptsAreNotMixed(t *testing.T) {
	t.Parallel()
	c := startChunks(t, func(cfg *Config) { cfg.PollInterval = 20e6 })
	c.write(1, first(`{"n":1}`))
	body := c.stream()
	c.frame(body, `{"n":1}`)
	c.write(2, first(`{"n":"other"}`))
	line, err := body.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, `data: {"error":`) || !strings.Contains(line, `"stream_lost"`) {
		t.Errorf("read %q, %v; want an error", line, err)
	}
	c.rest(body, "\ndata: [DONE]\n\n")
	c.cancelled()
}

func TestAStreamWhoseChunksAreLostGoesOnFromTheArchive(t *testing.T) {
	t.Parallel()
	for name, archived := range map[string]bool{"kept": true, "not kept": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startChunks(t, func(cfg *Config) { cfg.PollInterval = 20e6 })
			c.write(1, first(`{"n":1}`))
			body := c.stream()
			c.frame(body, `{"n":1}`)
			c.settle(streamed, false)
			if archived {
				a := livestream.NewArchive()
				for _, data := range []string{`{"n":1}`, `{"n":2}`} {
					if err := a.Add(event.Event{Data: []byte(data)}); err != nil {
						t.Fatal(err)
					}
				}
				kept, err := a.Bytes()
				if err == nil {
					err = c.store.Archive(t.Context(), c.row.ID, kept)
				}
				if err != nil {
					t.Fatal(err)
				}
				c.frame(body, `{"n":2}`)
				c.rest(body, "data: [DONE]\n\n")
				c.wantReplay("data: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: [DONE]\n\n")
				return
			}
			if err := c.store.Finish(t.Context(), c.row.ID); err != nil {
				t.Fatal(err)
			}
			line, err := body.ReadString('\n')
			if err != nil || !strings.Contains(line, `"stream_lost"`) {
				t.Errorf("read %q, %v; want an error", line, err)
			}
		})
	}
}

// timeless is a recorder that can be written to at any time.
type timeless struct{ *httptest.ResponseRecorder }

func (timeless) SetWriteDeadline(time.Time) error { return nil }

// wantReplay checks what a repeat is sent.
func (c *chunks) wantReplay(want string) {
	c.tb.Helper()
	a, err := c.answers.Read(c.tb.Context(), auth.DefaultTenant, c.row.ID)
	if err != nil {
		c.tb.Fatal(err)
	}
	rec := timeless{httptest.NewRecorder()}
	s := stream.New(stream.Options{Archives: c.answers, Tasks: new(sync.WaitGroup), Log: zap.NewNop()})
	if err := s.ReplayEndedCall(&httpapi.Exchange{ResponseWriter: rec}, a); err != nil {
		c.tb.Fatal(err)
	}
	same(c.tb, "the stream, once more", rec.Body.Bytes(), want)
}

func TestAStreamWhoseClientHangsUpIsCancelled(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]bool{"before the first chunk": false, "behind it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startChunks(t)
			if begun {
				c.write(1, first(`{"n":1}`))
				c.frame(c.stream(), `{"n":1}`)
			}
			c.hangUp()
			c.cancelled()
		})
	}
}

func TestADrainEndsAStreamedCall(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]bool{"before the first chunk": false, "behind it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startChunks(t)
			var body *bufio.Reader
			if begun {
				c.write(1, first(`{"n":1}`))
				body = c.stream()
				c.frame(body, `{"n":1}`)
			}
			c.drain(process.ErrDraining)
			if begun {
				line, err := body.ReadString('\n')
				if err != nil || !strings.Contains(line, `"service_unavailable"`) {
					t.Errorf("read %q, %v; want an error", line, err)
				}
				c.rest(body, "\ndata: [DONE]\n\n")
			} else {
				c.refused(http.StatusServiceUnavailable, "service_unavailable", "true")
			}
			c.waitEnd()
			c.cancelled()
		})
	}
}

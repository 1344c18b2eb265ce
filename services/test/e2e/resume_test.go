//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/streamcheck"
)

// resumePatience bounds how long a reader continues to reconnect.
const resumePatience = 90 * time.Second

// reader follows one stream over every break, like a client that knows how to
// resume.
type reader struct {
	id     string
	events []byte // frames, each once
	next   int    // expected sequence number of the next event
	breaks int
	done   bool
	leave  bool // after the first event
}

// open requests a stream and reads it until it ends or breaks.
func (c *client) open(ctx context.Context, method, path string, body []byte, r *reader) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: c.http.Transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return &refusal{status: resp.StatusCode, body: string(text)}
	}
	return r.read(resp.Body)
}

var errGap = errors.New("the stream has a gap")

// read stores whole frames; the server sends a cut frame again.
func (r *reader) read(from io.Reader) error {
	in := bufio.NewReader(from)
	var frame []byte
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return err
		}
		frame = append(frame, line...)
		if len(line) > 1 {
			continue
		}
		var e struct {
			Number   *int `json:"sequence_number"`
			Response struct{ ID string }
		}
		_, data, _ := strings.Cut(string(frame), "data: ")
		switch {
		case strings.HasPrefix(data, "[DONE]"):
			r.events = append(r.events, frame...)
			r.done = true
			return nil
		case strings.HasPrefix(string(frame), ":"):
		case json.Unmarshal([]byte(data), &e) != nil || e.Number == nil:
			return fmt.Errorf("no event: %s", frame)
		case *e.Number != r.next:
			return fmt.Errorf("%w: event %d, want %d", errGap, *e.Number, r.next)
		default:
			r.next++
			r.events = append(r.events, frame...)
			if r.id == "" {
				r.id = e.Response.ID
			}
			if r.leave {
				return nil
			}
		}
		frame = frame[:0]
	}
}

// request returns a streamed request of the plan.
func request(model string, p mock.Plan, background bool) ([]byte, error) {
	return json.Marshal(map[string]any{
		"model": model, "input": p.Prompt(), "background": background, "stream": true,
		"tools": []any{map[string]any{"type": "mcp", "server_label": "windlass"}},
	})
}

// follow creates a streamed response and resumes it until its end.
func (c *client) follow(ctx context.Context, model string, p mock.Plan, background bool) (*reader, error) {
	body, err := request(model, p, background)
	if err != nil {
		return nil, err
	}
	return c.followBody(ctx, func() *client { return c }, body)
}

// followBy is follow with a client of its own for each connection.
func (c *client) followBy(ctx context.Context, pick func() *client, p mock.Plan) (*reader, error) {
	body, err := request(model, p, true)
	if err != nil {
		return nil, err
	}
	return c.followBody(ctx, pick, body)
}

func (c *client) followBody(ctx context.Context, pick func() *client, body []byte) (*reader, error) {
	r := &reader{}
	err := c.open(ctx, http.MethodPost, "/v1/responses", body, r)
	if r.id == "" {
		return r, fmt.Errorf("no response was begun: %w", err)
	}
	for !r.done && !errors.Is(err, errGap) && ctx.Err() == nil {
		r.breaks++
		err = pick().open(ctx, http.MethodGet, fmt.Sprintf("/v1/responses/%s?stream=true&starting_after=%d", r.id, r.next-1), nil, r)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			pause(ctx, 100*time.Millisecond)
		}
	}
	if !r.done {
		return r, fmt.Errorf("response %s: %w", r.id, errors.Join(err, ctx.Err()))
	}
	return r, nil
}

// TestStreamsOverKills kills the gateway and then an orchestrator in the middle
// of 200 streams, half of them in the foreground, and half with models whose
// upstream has the Responses API.
func TestStreamsOverKills(t *testing.T) {
	t.Parallel()
	alone(t)
	const streams = 200
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), resumePatience)
	defer cancel()
	readers := make([]*reader, streams)
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			var err error
			readers[i], err = w.api.follow(ctx, []string{model, native}[i/2%2], mock.Plan{
				Seed: int64(i + 1), Rounds: 2, Width: 2, ToolMS: 300, Tokens: 60, TokenRate: 15, Reasoning: "let me think about this",
			}, i%2 == 0)
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	pause(ctx, 2*time.Second)
	w.killAndRestart([]string{"gateway"}, 300*time.Millisecond)
	pause(ctx, time.Second)
	w.killAndRestart([]string{"loop-orchestrator"}, 300*time.Millisecond)
	all.Wait()
	if t.Failed() {
		return
	}
	events, breaks, again := 0, 0, 0
	for _, r := range readers {
		for _, v := range streamcheck.Check(r.events) {
			t.Errorf("response %s: %s", r.id, v)
		}
		for range 2 {
			whole := &reader{id: r.id}
			if err := w.api.open(ctx, http.MethodGet, "/v1/responses/"+r.id+"?stream=true", nil, whole); err != nil {
				t.Fatalf("read %s again: %v", r.id, err)
			}
			if !bytes.Equal(whole.events, r.events) {
				t.Errorf("response %s read again is not what was streamed:\n%s\nwas\n%s", r.id, whole.events, r.events)
			}
		}
		events += r.next
		breaks += r.breaks
		again += max(strings.Count(string(r.events), "event: response.in_progress\n")-1, 0)
	}
	if breaks == 0 || again == 0 {
		t.Errorf("%d streams broke off and %d turns were begun again, want some of both", breaks, again)
	}
	t.Logf("%d streams of %d events, %d resumed, %d turns begun again, 0 gaps, each read twice again to the same bytes",
		streams, events, breaks, again)
}

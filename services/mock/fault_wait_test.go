package mock_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

func TestHangEndsWithTheClient(t *testing.T) {
	t.Parallel()
	for _, s := range sides() {
		server, url := serve(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		o := s.call(t, ctx, url, mock.Fault{Mode: "hang"})
		cancel()
		if !errors.Is(o.sendErr, context.DeadlineExceeded) {
			t.Errorf("%s: client saw %+v, want a deadline before any header", s.name, o)
		}
		e := lastEntry(t, server, func(e mock.Entry) bool { return !e.Ended.IsZero() && e.Aborted })
		if e.Status != 0 {
			t.Errorf("%s: ledger says %+v, want no status", s.name, e)
		}
	}
}

func TestDripComesByteByByte(t *testing.T) {
	t.Parallel()
	for _, s := range sides() {
		server, url := serve(t)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		o := s.call(t, ctx, url, mock.Fault{Mode: "drip", Bytes: 50})
		cancel()
		if o.status != 200 || len(o.body) > 15 || !errors.Is(o.readErr, context.DeadlineExceeded) {
			t.Errorf("%s: 300ms of a drip of 50 B/s gave %d bytes, status %d, errors %v, %v", s.name, len(o.body), o.status, o.sendErr, o.readErr)
		}
		lastEntry(t, server, func(e mock.Entry) bool { return !e.Ended.IsZero() && e.Aborted })
	}
}

func TestEndlessBodyEndsWithTheClient(t *testing.T) {
	t.Parallel()
	server, url := serve(t)
	p := mock.Plan{Rounds: 1, ToolFaults: []mock.Fault{{Mode: "big", Bytes: -1}}}
	l := newLoop(t, url, p.Prompt())
	resp, err := l.post("/tools/mock_echo", l.model().Choices[0].Message.ToolCalls[0].Function.Arguments)
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	if n, err := io.CopyN(io.Discard, resp.Body, 20<<20); err != nil {
		t.Errorf("endless body ended after %d bytes: %v", n, err)
	}
	_ = resp.Body.Close()
	lastEntry(t, server, func(e mock.Entry) bool { return e.Kind == "tool" && e.Aborted })
}

func TestEndlessBodyEndsWithTheServer(t *testing.T) {
	t.Parallel()
	server, url := serve(t)
	p := mock.Plan{Rounds: 1, ToolFaults: []mock.Fault{{Mode: "big", Bytes: -1}}}
	l := newLoop(t, url, p.Prompt())
	resp, err := l.post("/tools/mock_echo", l.model().Choices[0].Message.ToolCalls[0].Function.Arguments)
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	defer resp.Body.Close()
	server.Close()
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("endless body of a closed server ended with %v, want it cut", err)
	}
}

func TestCloseCutsWhatWaits(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]mock.Plan{
		"thinking": {ThinkMS: 3_600_000},
		"hanging":  {ModelFaults: []mock.Fault{{Mode: "hang"}}},
		"dripping": {ModelFaults: []mock.Fault{{Mode: "drip"}}},
	} {
		server, url := serve(t)
		l := newLoop(t, url, p.Prompt())
		done := make(chan error, 1)
		go func() {
			_, _, err := l.read("/v1/chat/completions", l.request())
			done <- err
		}()
		lastEntry(t, server, func(e mock.Entry) bool { return e.Ended.IsZero() })
		server.Close()
		if err := <-done; !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: call ended with %v, want it cut", name, err)
		}
	}
}

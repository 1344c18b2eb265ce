package httptool

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
)

func TestRequest(t *testing.T) {
	t.Parallel()
	type seen struct {
		Method, Body string
		Header       map[string]string
	}
	got := make(chan seen, 1)
	call := tool(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s := seen{Method: r.Method, Body: string(body), Header: map[string]string{}}
		for name := range r.Header {
			s.Header[name] = r.Header.Get(name)
		}
		got <- s
		w.Header().Set("Set-Cookie", "session=1")
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	call.Bearer = "s3cret-token"
	call.CallID = "call\r\n1"
	call.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	c := client(t)
	want := seen{Method: "POST", Body: `{"city":"Ulm"}`, Header: map[string]string{
		"Accept-Encoding": "gzip", "Content-Length": "14", "Content-Type": "application/json",
		"User-Agent": "windlass-tool-runner", "Authorization": "Bearer s3cret-token",
		"Idempotency-Key": "key-1", "Windlass-Request-Id": "resp_0a", "Windlass-Call-Id": "call%0D%0A1",
		"Windlass-Attempt": "2", "Traceparent": call.Traceparent,
	}}
	for range 2 { // the second one would bring the cookie back
		out, f := do(t, c, call)
		if f != nil || string(out.Text) != `{"ok":true}` {
			t.Fatalf("Do = %q, %+v", out.Text, f)
		}
		if diff := cmp.Diff(want, <-got); diff != "" {
			t.Errorf("request differs (-want +got):\n%s", diff)
		}
	}
	call.Method, call.Bearer, call.Traceparent = http.MethodPut, "", ""
	if _, f := do(t, c, call); f != nil {
		t.Fatal(f)
	}
	s := <-got
	if _, ok := s.Header["Authorization"]; ok || s.Method != "PUT" || s.Header["Traceparent"] != "" {
		t.Errorf("request = %+v, want a PUT without credential and trace", s)
	}
}

func TestLargeAnswerIsCutAndLeft(t *testing.T) {
	t.Parallel()
	const size = 10 << 20
	written := make(chan int, 1)
	call := tool(t, func(w http.ResponseWriter, _ *http.Request) {
		n, piece := 0, []byte(strings.Repeat("ü", 8<<10))
		for n < size {
			m, err := w.Write(piece)
			if n += m; err != nil {
				break
			}
		}
		written <- n
	})
	call.MaxOutputBytes = 1001
	out, f := do(t, client(t), call)
	if f != nil {
		t.Fatal(f)
	}
	want := Output{Text: []byte(strings.Repeat("ü", 500) + "\n[output cut after 1000 bytes]"), Size: 1002, Truncated: true}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("output differs (-want +got):\n%s", diff)
	}
	select {
	case n := <-written:
		if n >= size {
			t.Errorf("tool wrote all %d bytes, want a closed connection", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("tool is still writing")
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	var bomb atomic.Int64
	call := tool(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer func() { _ = z.Close() }()
		piece := []byte(strings.Repeat("a", 1<<20))
		for range bomb.Load() { // a megabyte each, a kilobyte on the wire
			if _, err := z.Write(piece); err != nil {
				return
			}
		}
		_, _ = io.WriteString(z, "end")
	})
	out, f := do(t, client(t), call)
	if f != nil || string(out.Text) != "end" {
		t.Errorf("Do = %q, %+v, want the text decompressed", out.Text, f)
	}
	bomb.Store(200)
	out, f = do(t, client(t), call)
	if f != nil || !out.Truncated || out.Size != call.MaxOutputBytes+1 {
		t.Errorf("Do = %d bytes, truncated %v, %+v; want %d read", out.Size, out.Truncated, f, call.MaxOutputBytes+1)
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	tests := map[string]http.HandlerFunc{
		"no header": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"slow drip": func(w http.ResponseWriter, r *http.Request) {
			drip := time.NewTicker(20 * time.Millisecond)
			defer drip.Stop()
			for {
				_, _ = io.WriteString(w, "x")
				w.(http.Flusher).Flush()
				select {
				case <-drip.C:
				case <-r.Context().Done():
					return
				}
			}
		},
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := tool(t, h)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, f := client(t).Do(ctx, call)
			wantCode(t, f, run.CodeTimeout, true)
		})
	}
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		call := tool(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		c := client(t)
		c.silence = 50 * time.Millisecond
		_, f := do(t, c, call)
		wantCode(t, f, run.CodeTimeout, true)
		if !strings.Contains(f.Message, "stopped") {
			t.Errorf("message = %q, want silence, not the deadline", f.Message)
		}
	})
}

func TestCancelledCall(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	call := tool(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a client that left only then
		close(began)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("request is gone")
	go func() { <-began; cancel(gone) }()
	if _, f := client(t).Do(ctx, call); f == nil || f.HTTPStatus != 0 {
		t.Errorf("Do of a cancelled call = %+v, want a failure without status", f)
	}
}

func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, answer)
		}
	}
	headers := func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100_000 {
			w.Header().Set("X-"+strconv.Itoa(i), "x")
		}
	}
	tests := []struct {
		name      string
		handler   http.HandlerFunc
		code      string
		retriable bool
	}{
		{"closed unanswered", raw(""), run.CodeConnection, true},
		{"ended early", raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), run.CodeConnection, true},
		{"no HTTP", raw("220 smtp ready\r\n\r\n"), run.CodeConnection, true},
		{"bad chunk", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), run.CodeConnection, true},
		{"bad gzip", raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf"), run.CodeConnection, true},
		{"100,000 headers", headers, run.CodeConnection, true},
		{"1xx flood", raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", 100_000)), run.CodeConnection, true},
		{"upgrade", raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), "http_101", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, f := do(t, client(t), tool(t, tt.handler))
			wantCode(t, f, tt.code, tt.retriable)
		})
	}
}

func TestNoListener(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, f := do(t, client(t), Call{URL: "http://" + l.Addr().String(), AllowPrivate: true})
	wantCode(t, f, run.CodeConnection, true)
	if f.Message != "the tool refused the connection" {
		t.Errorf("message = %q", f.Message)
	}
}

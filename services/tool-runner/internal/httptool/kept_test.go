package httptool

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestOnceIsSentOnce holds that a kept connection that the tool closes without
// an answer does not cause a second request, which net/http would make because
// of the Idempotency-Key.
func TestOnceIsSentOnce(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{false, true} {
		t.Run(fmt.Sprint("once ", once), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			call := tool(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if calls.Add(1) == 2 {
					panic(http.ErrAbortHandler)
				}
			})
			call.Once = once
			c := client(t)
			if _, f := do(t, c, call); f != nil {
				t.Fatal(f)
			}
			_, f := do(t, c, call)
			if n := calls.Load(); once && (n != 2 || f == nil) {
				t.Errorf("tool was called %d times, failure %+v; want 2 and a failure", n, f)
			} else if !once && (n != 3 || f != nil) {
				t.Errorf("tool was called %d times, failure %+v; want net/http to repeat", n, f)
			}
		})
	}
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Windlass-Attempt") == "1" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "ok")
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := client(t)
	for i := range 10 {
		_, _ = do(t, c, Call{URL: server.URL, AllowPrivate: true, MaxOutputBytes: 2, Attempt: uint32(i % 2)})
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("10 calls opened %d connections, want 1", n)
	}
}

func TestCredentialIsNotRepeated(t *testing.T) {
	t.Parallel()
	call := tool(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Windlass-Attempt") == "1" {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(w, "you sent "+r.Header.Get("Authorization"))
	})
	call.Bearer = "s3cret-token"
	if out, f := do(t, client(t), call); f != nil || string(out.Text) != "you sent Bearer [redacted]" {
		t.Errorf("Do = %q, %+v, want the credential redacted", out.Text, f)
	}
	call.Attempt = 1
	_, f := do(t, client(t), call)
	if f == nil || f.Message != "the tool answered 403 Forbidden: you sent Bearer [redacted]" {
		t.Errorf("failure = %+v, want the credential redacted", f)
	}
}

package framing

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve returns the address of a server that answers with what it read of each
// request.
func serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		ConnState:         ConnState,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				c, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					panic(err)
				}
				defer c.Close()
				fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
				_ = rw.Flush()
				_, _ = io.CopyN(c, rw, int64(len(hostile)))
				return
			}
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %q %v", r.Method, r.URL.Path, body, err)
		}),
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(Listener(l)) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return l.Addr().String()
}

const hostile = "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"

// exchange sends pieces of a connection and returns the bodies of the answers,
// or the status of those that are not 200.
func exchange(t *testing.T, address string, pieces ...string) (answers []string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		for _, piece := range pieces {
			_, _ = io.WriteString(c, piece)
		}
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	in := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return answers
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("read the answer: %v", err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body = []byte(resp.Status[:3])
		}
		answers = append(answers, string(body))
	}
}

func TestBothLengthsAreRefused(t *testing.T) {
	t.Parallel()
	const refused = "400"
	get, got := "GET /next HTTP/1.1\r\nHost: a\r\n\r\n", `GET /next "" <nil>`
	post := func(header, body string) string { return "POST / HTTP/1.1\r\nHost: a\r\n" + header + "\r\n" + body }
	for name, tt := range map[string]struct {
		sent string
		want []string
	}{
		"length":                   {post("Content-Length: 3\r\n", "abc") + get, []string{`POST / "abc" <nil>`, got}},
		"no body":                  {post("Content-Length: 0\r\n", "") + get, []string{`POST / "" <nil>`, got}},
		"chunks":                   {post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n") + get, []string{`POST / "abc" <nil>`, got}},
		"extension and trailer":    {post("Transfer-Encoding: chunked\r\n", "3;a=b\r\nabc\r\n0\r\nContent-Length: 1\r\n\r\n") + get, []string{`POST / "abc" <nil>`, got}},
		"hex":                      {post("Transfer-Encoding: chunked\r\n", "0A\r\n0123456789\r\n0\r\n\r\n") + get, []string{`POST / "0123456789" <nil>`, got}},
		"headers in a body":        {post("Content-Length: 49\r\n", hostile) + get, []string{fmt.Sprintf("POST / %q <nil>", hostile), got}},
		"headers in a chunk":       {post("Transfer-Encoding: chunked\r\n", "31\r\n"+hostile+"\r\n0\r\n\r\n") + get, []string{fmt.Sprintf("POST / %q <nil>", hostile), got}},
		"length, then chunks":      {post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n") + get, []string{refused}},
		"chunks, then length":      {post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "3\r\nabc\r\n0\r\n\r\n") + get, []string{refused}},
		"any case":                 {post("cOnTeNt-LeNgTh: 3\r\ntRANSFER-ENCODING: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"), []string{refused}},
		"bare line feeds":          {"POST / HTTP/1.1\nHost: a\nContent-Length: 3\nTransfer-Encoding: chunked\n\nabc", []string{refused}},
		"HTTP/1.0":                 {"POST / HTTP/1.0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", []string{refused}},
		"in the second request":    {get + post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "abc"), []string{got, refused}},
		"after a body":             {post("Content-Length: 3\r\n", "abc") + post(hostile, ""), []string{`POST / "abc" <nil>`, refused}},
		"two lengths":              {post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), []string{refused}},
		"a length with a sign":     {post("Content-Length: +3\r\n", "abc"), []string{refused}},
		"another encoding":         {post("Transfer-Encoding: gzip\r\n", "abc"), []string{"501"}},
		"a space before the colon": {post("Content-Length : 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), []string{refused}},
		"names that begin alike":   {post("Content-Length-Hint: 9\r\nX-Transfer-Encoding: a\r\nContent-Length: 3\r\n", "abc") + get, []string{`POST / "abc" <nil>`, got}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t)
			var bytewise []string
			for i := range len(tt.sent) {
				bytewise = append(bytewise, tt.sent[i:i+1])
			}
			for _, pieces := range [][]string{{tt.sent}, bytewise} {
				got := exchange(t, address, pieces...)
				if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
					t.Errorf("in %d pieces: answers %q, want %q", len(pieces), got, tt.want)
				}
			}
		})
	}
}

func TestWhatCannotBeFollowedEndsTheConnection(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"zz\r\nabc\r\n", "\r\n", "3\r\nabcd\r\n", "11111111111111111\r\n"} {
		var p parser
		if p.follow([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body)) {
			t.Errorf("chunks %q are followed, want an end", body)
		}
	}
	// HTTP/1.0 has no chunks: net/http takes what follows for the next request.
	got := exchange(t, serve(t), "POST /1 HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST /2 HTTP/1.1\r\nHost: a\r\n"+hostile+"0\r\n\r\n")
	if len(got) > 1 {
		t.Errorf("answers %q, want one at most", got)
	}
}

func TestWebSocketsAreNotRead(t *testing.T) {
	t.Parallel()
	c, err := net.Dial("tcp", serve(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade = %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	fmt.Fprint(c, hostile)
	echo := make([]byte, len(hostile))
	if _, err := io.ReadFull(in, echo); err != nil && !errors.Is(err, io.EOF) || string(echo) != hostile {
		t.Errorf("echo = %q, %v, want %q", echo, err, hostile)
	}
}

// FuzzFollow holds that pieces make no difference and that only a colon is
// changed.
func FuzzFollow(f *testing.F) {
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n"), 7)
	f.Add([]byte("POST / HTTP/1.1\r\n"+hostile+"3\r\nabc\r\n0\r\n\r\n"), 20)
	f.Fuzz(func(t *testing.T, sent []byte, at int) {
		if at < 0 || at > len(sent) {
			return
		}
		whole := append([]byte(nil), sent...)
		var one, two parser
		ok := one.follow(whole)
		parts := append([]byte(nil), sent...)
		if okParts := two.follow(parts[:at]) && two.follow(parts[at:]); okParts != ok {
			t.Fatalf("whole %v, in two pieces %v", ok, okParts)
		}
		if !ok {
			return
		}
		for i := range sent {
			if whole[i] != parts[i] || whole[i] != sent[i] && (sent[i] != ':' || whole[i] != ' ') {
				t.Fatalf("byte %d is %q and %q, was %q", i, whole[i], parts[i], sent[i])
			}
		}
	})
}

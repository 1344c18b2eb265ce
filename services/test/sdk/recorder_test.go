package sdk

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// recorder is a proxy between one client and Windlass that keeps all bytes.
// Each client has its own.
type recorder struct {
	*httptest.Server
	cut int // the message at which the first WebSocket breaks, if not 0

	mu        sync.Mutex
	exchanges []*exchange
}

// exchange is a request and its answer. The body may be read after the recorder
// is closed.
type exchange struct {
	request *http.Request
	sent    []byte
	status  int
	header  http.Header
	body    bytes.Buffer
	whole   bool  // the body ended, or reached [DONE], where SDKs stop reading; the client did not leave earlier
	socket  *wire // the bytes of a WebSocket
}

// record starts a recorder in front of target.
func record(t *testing.T, target string) *recorder {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	r := new(recorder)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(to) },
		Transport:     recording{r, transport},
		FlushInterval: -1, // clients get each event at once
		// It is no fault if a client leaves.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	r.Server = httptest.NewServer(proxy)
	t.Cleanup(r.Close)
	return r
}

// recording is the transport that reads requests before they are sent.
type recording struct {
	*recorder
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (r recording) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{request: req}
	if req.Body != nil {
		sent, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		x.sent, req.Body = sent, io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	x.status, x.header = resp.StatusCode, resp.Header.Clone()
	if conn, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		x.socket = &wire{ReadWriteCloser: conn, closed: make(chan struct{}), cut: r.breaks()}
		resp.Body = x.socket
	} else {
		resp.Body = &tee{resp.Body, x}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exchanges = append(r.exchanges, x)
	return resp, nil
}

// breaks returns the message at which the next WebSocket breaks.
func (r recording) breaks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.cut = 0 }()
	return r.cut
}

// tee is a body that is kept while it is read.
type tee struct {
	io.ReadCloser
	x *exchange
}

// Read implements io.Reader.
func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.x.body.Write(p[:n])
	t.x.whole = t.x.whole || errors.Is(err, io.EOF) || bytes.HasSuffix(t.x.body.Bytes(), []byte("\ndata: [DONE]\n\n"))
	return n, err
}

// sockets returns the exchanges that became WebSockets.
func (r *recorder) sockets() (all []*exchange) {
	for _, x := range r.exchanges {
		if x.socket != nil {
			all = append(all, x)
		}
	}
	return all
}

// Close waits for open exchanges and WebSockets, whose clients must have left.
func (r *recorder) Close() {
	r.Server.Close()
	late := time.After(patience)
	for _, x := range r.sockets() {
		select {
		case <-x.socket.closed:
		case <-late:
			return
		}
	}
}

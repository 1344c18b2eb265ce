package mock

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	jsonType   = "application/json"
	streamType = "text/event-stream"
)

// exchange is one call being answered, and its entry in the ledger.
type exchange struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	entry   *Entry
	outcome Entry // handed to the ledger by end
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request, e Entry) *exchange {
	e.IdempotencyKey = r.Header.Get("Idempotency-Key")
	e.AuthorizationPresent = r.Header.Get("Authorization") != ""
	return &exchange{server: s, w: w, r: r, entry: s.ledger.begin(e)}
}

// end books the outcome. A call that was broken off must not look like an empty
// success to whoever still listens, so its connection is cut.
func (x *exchange) end() {
	x.outcome.Ended = time.Now()
	x.server.ledger.end(x.entry, x.outcome)
	if x.outcome.Aborted {
		panic(http.ErrAbortHandler)
	}
}

// wait reports whether the client was still there after d.
func (x *exchange) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.r.Context().Done():
	case <-x.server.closed:
	}
	x.outcome.Aborted = true
	return false
}

func (x *exchange) hang() {
	select {
	case <-x.r.Context().Done():
	case <-x.server.closed:
	}
	x.outcome.Aborted = true
}

// head sends status and headers; a negative length leaves it open.
func (x *exchange) head(status int, contentType string, length int) {
	if contentType != "" {
		x.w.Header().Set("Content-Type", contentType)
	}
	if length >= 0 {
		x.w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	x.outcome.Status = status
	x.w.WriteHeader(status)
}

func (x *exchange) write(part []byte) bool {
	if _, err := x.w.Write(part); err != nil {
		x.outcome.Aborted = true
		return false
	}
	return true
}

func (x *exchange) flush() bool {
	if err := http.NewResponseController(x.w).Flush(); err != nil {
		x.outcome.Aborted = true
		return false
	}
	return true
}

func (x *exchange) send(status int, contentType string, body []byte) {
	if status == http.StatusNoContent || status == http.StatusNotModified {
		x.head(status, "", -1)
		return
	}
	x.head(status, contentType, len(body))
	x.write(body)
}

func (x *exchange) refuse(message, param string) {
	x.send(http.StatusBadRequest, jsonType, errorBody(http.StatusBadRequest, message, param))
}

// pad writes n filler bytes, without end if n is negative.
func (x *exchange) pad(n int) {
	block := bytes.Repeat([]byte{'x'}, 32<<10)
	for endless := n < 0; endless || n > 0; n -= len(block) {
		if !endless && n < len(block) {
			block = block[:n]
		}
		select {
		case <-x.server.closed: // an endless body must end with the server
			x.outcome.Aborted = true
			return
		default:
		}
		if !x.write(block) {
			return
		}
	}
}

// reset cuts the connection so that the client's next read fails, where closing
// it would look like an ordinary end.
func (x *exchange) reset() {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

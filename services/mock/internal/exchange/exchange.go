// Package exchange is one call that the mock answers, from its entry in the
// ledger to the end of its connection.
package exchange

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"time"

	"windlass.dev/windlass/services/mock/internal/ledger"
)

// The content types of answers.
const (
	JSON   = "application/json"
	Stream = "text/event-stream"
)

// Recorder begins exchanges, each with an entry in the ledger.
type Recorder struct {
	Ledger *ledger.Ledger
	Closed <-chan struct{} // ends the waits of all exchanges
}

// Exchange is one call being answered.
type Exchange struct {
	Writer  http.ResponseWriter
	Request *http.Request
	// Attempt counts the calls at the same place of the plan, from 1; 0 if the
	// call was not counted.
	Attempt int
	// Outcome is written to the ledger by End.
	Outcome ledger.Entry

	recorder *Recorder
	entry    *ledger.Entry
}

// Begin begins the exchange of a call. The caller calls End.
func (rec *Recorder) Begin(w http.ResponseWriter, r *http.Request, e ledger.Entry) *Exchange {
	e.IdempotencyKey = r.Header.Get("Idempotency-Key")
	e.AuthorizationPresent = r.Header.Get("Authorization") != ""
	entry := rec.Ledger.Begin(e)
	return &Exchange{Writer: w, Request: r, Attempt: entry.Attempt, recorder: rec, entry: entry}
}

// End records the outcome. It cuts the connection of an aborted call, which
// must not look like an empty success to a client that still reads.
func (x *Exchange) End() {
	x.Outcome.Ended = time.Now()
	x.recorder.Ledger.End(x.entry, x.Outcome)
	if x.Outcome.Aborted {
		panic(http.ErrAbortHandler)
	}
}

// Wait waits for d. It returns false if the client leaves or the server closes.
func (x *Exchange) Wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.Request.Context().Done():
	case <-x.recorder.Closed:
	}
	x.Outcome.Aborted = true
	return false
}

// Hang waits until the client leaves or the server closes.
func (x *Exchange) Hang() {
	select {
	case <-x.Request.Context().Done():
	case <-x.recorder.Closed:
	}
	x.Outcome.Aborted = true
}

// Head sends status and headers. A negative length is not sent.
func (x *Exchange) Head(status int, contentType string, length int) {
	if contentType != "" {
		x.Writer.Header().Set("Content-Type", contentType)
	}
	if length >= 0 {
		x.Writer.Header().Set("Content-Length", strconv.Itoa(length))
	}
	x.Outcome.Status = status
	x.Writer.WriteHeader(status)
}

// Write sends a part of the body. It returns false if the client has left.
func (x *Exchange) Write(part []byte) bool {
	if _, err := x.Writer.Write(part); err != nil {
		x.Outcome.Aborted = true
		return false
	}
	return true
}

// Flush sends what is buffered. It returns false if the client has left.
func (x *Exchange) Flush() bool {
	if err := http.NewResponseController(x.Writer).Flush(); err != nil {
		x.Outcome.Aborted = true
		return false
	}
	return true
}

// Send sends a whole answer.
func (x *Exchange) Send(status int, contentType string, body []byte) {
	if status == http.StatusNoContent || status == http.StatusNotModified {
		x.Head(status, "", -1)
		return
	}
	x.Head(status, contentType, len(body))
	x.Write(body)
}

// Refuse sends an API error for a bad request.
func (x *Exchange) Refuse(message, param string) {
	x.Send(http.StatusBadRequest, JSON, ErrorBody(http.StatusBadRequest, message, param))
}

// Pad writes n filler bytes, without end if n is negative.
func (x *Exchange) Pad(n int) {
	block := bytes.Repeat([]byte{'x'}, 32<<10)
	for endless := n < 0; endless || n > 0; n -= len(block) {
		if !endless && n < len(block) {
			block = block[:n]
		}
		select {
		case <-x.recorder.Closed: // an endless body must end with the server
			x.Outcome.Aborted = true
			return
		default:
		}
		if !x.Write(block) {
			return
		}
	}
}

// Reset resets the connection: the client's next read fails.
func (x *Exchange) Reset() {
	conn, _, err := http.NewResponseController(x.Writer).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store/idempotency"
)

// WriteTimeout bounds the writing of an answer, from its first byte on.
const WriteTimeout = 30 * time.Second

// Exchange is one HTTP request on its way through the handlers. It collects
// what the request's log line and metrics report.
type Exchange struct {
	http.ResponseWriter
	ID        string    // x-request-id
	Route     string    // the pattern that matched
	Who       Principal // set once the key was checked
	RequestID string    // of the row that the exchange is about
	Status    int       // 0 until the answer has begun
	Err       error     // the cause of a 5xx

	// The fields of a POST with an Idempotency-Key. Package idempotency sets
	// them; Body is then the whole body.
	Body  []byte
	Once  idempotency.Key // the key
	Fresh uuid.UUID       // the id of what the holder of the key makes
	// Accepted reports that this exchange has accepted a request and answers
	// for it.
	Accepted bool
	Sent     []byte // the answer
	Kept     []byte // the answer for repeats, if it differs from Sent

	// Memory is what the exchange holds for its client, nil if nothing yet.
	Memory *budget.Lease
	Keeps  bool // its request is needed after the accept

	Quota http.Header // what the tenant's limits leave, for the answer's head

	api     *API
	charged bool         // for the answer that it will send
	endRead func()       // ends the turn of a read
	refused *fault.Error // the error that was sent, nil if absent
}

// NewID returns the id of something that the exchange makes: a new one, or the
// one that an earlier exchange with the same Idempotency-Key used.
func (x *Exchange) NewID() (uuid.UUID, error) {
	if x.Fresh != uuid.Nil {
		return x.Fresh, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

// ForMessage returns an exchange for one message on the WebSocket that x has
// opened. It has the same id, route and principal. What is written to it is
// dropped, because a message has no HTTP answer. memory is what the message
// holds.
func (x *Exchange) ForMessage(memory *budget.Lease) *Exchange {
	return &Exchange{ResponseWriter: discard{}, ID: x.ID, Route: x.Route, Who: x.Who, Memory: memory, api: x.api}
}

// discard is an http.ResponseWriter that drops everything.
type discard struct{}

// Header implements http.ResponseWriter.
func (discard) Header() http.Header { return make(http.Header) }

// Write implements http.ResponseWriter.
func (discard) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (discard) WriteHeader(int) {}

// WriteHeader records the status and adds the headers of the tenant's limits.
func (x *Exchange) WriteHeader(status int) {
	if x.Status == 0 {
		x.Status = status
		maps.Copy(x.Header(), x.Quota)
	}
	x.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (x *Exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Send writes a complete JSON answer, or the error of package budget if there
// is no memory for it: its client may read slowly.
func (x *Exchange) Send(status int, body []byte) {
	if err := x.chargeAnswer(body); err != nil {
		f := memoryFault(err)
		x.refused = f
		x.SetRetryHeaders(f)
		status, body = f.Status, f.JSON()
	}
	x.Header().Set("Content-Type", "application/json")
	x.Header().Set("Content-Length", strconv.Itoa(len(body)))
	// The server's own limit counts from the request, and a handler may wait
	// for longer than that.
	_ = http.NewResponseController(x).SetWriteDeadline(time.Now().Add(WriteTimeout))
	x.Sent = body
	x.WriteHeader(status)
	_, _ = x.Write(body) // it fails only if the client has gone
}

// SendJSON answers 200 with value as JSON.
func (x *Exchange) SendJSON(value any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // people read this
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	x.Send(http.StatusOK, out.Bytes())
	return nil
}

// SetRetryHeaders sets the headers that say when to send the request again.
func (x *Exchange) SetRetryHeaders(f *fault.Error) { maps.Copy(x.Header(), RetryHeaders(f)) }

// LeaveBody closes the connection after the answer. Otherwise net/http would
// read the rest of the body before it answers.
func (x *Exchange) LeaveBody(r *http.Request) {
	if r.ContentLength != 0 {
		x.Header().Set("Connection", "close")
	}
}

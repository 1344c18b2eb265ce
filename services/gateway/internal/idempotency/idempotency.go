// Package idempotency makes a POST with an Idempotency-Key happen once.
//
// A POST with a key happens once for its tenant, even if processes are killed
// in between: the same request, sent again to any gateway, gets the same
// answer, while it runs and for at least 24 hours after
// (TestEveryPOSTHappensOnceForAKey in package gateway). A key stands for
// method, path, query and the bytes of the body; anything else with it is a 422
// idempotency_key_reused. Refusals do not use the key up; once a request was
// accepted its end is the answer, also if it failed. Repeats say so in the
// header Idempotent-Replayed and do not count against limits.
//
// The key of a request is a row of the commit that accepts it, and repeats are
// answered from the request's own row. Rejected: to keep answers beside the
// row, which are megabytes, and to write the key first, which leaves keys
// without a request. A handler that makes no request holds its key for 10 s,
// takes its id from it, and its answer of up to 256 kB is kept; the next
// exchange after a holder that died makes the same thing under the same id. A
// lock for the time of the handler was rejected: it holds a connection that the
// handler needs.
//
// With a key a hang-up cancels nothing. A response with store=false can be read
// by its key, which is the client's own secret, until its payloads are purged.
// When what was made has been deleted, its key answers 404 and makes nothing.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	keystore "windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/services/gateway/internal/admission"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
	"windlass.dev/windlass/services/gateway/internal/stream"
	"windlass.dev/windlass/services/gateway/internal/wait"
)

const (
	header         = "Idempotency-Key"
	replayedHeader = "Idempotent-Replayed"
	maxKey         = 255

	// holdTime is how long a POST that accepts no request may take. After it a
	// repeat runs the handler again.
	holdTime = 10 * time.Second
	// holdPause is the time between two looks at a key that another exchange
	// holds.
	holdPause = 50 * time.Millisecond
	// maxKept bounds an answer that is kept for repeats. A longer one is made
	// again, under the same id.
	maxKept = 256 << 10
)

// Keys serves POSTs with an Idempotency-Key. It is safe for concurrent use.
type Keys struct {
	store     *keystore.Store
	rules     *admission.Rules
	waiters   *wait.Waiters
	streams   *stream.Server
	answers   *answer.Server
	deadline  time.Duration
	tasks     *sync.WaitGroup
	log       *zap.Logger
	accepting map[string]bool
}

// Options is what Keys needs.
type Options struct {
	Store    *keystore.Store
	Rules    *admission.Rules
	Waiters  *wait.Waiters
	Streams  *stream.Server
	Answers  *answer.Server
	Deadline time.Duration   // of requests, from their accept on
	Tasks    *sync.WaitGroup // counts queries that outlive their handler
	Log      *zap.Logger
}

// New returns a Keys.
func New(o Options) *Keys {
	k := &Keys{
		store:     o.Store,
		rules:     o.Rules,
		waiters:   o.Waiters,
		streams:   o.Streams,
		answers:   o.Answers,
		deadline:  o.Deadline,
		tasks:     o.Tasks,
		log:       o.Log,
		accepting: map[string]bool{},
	}
	for _, e := range run.Endpoints() {
		k.accepting[e.Path()] = true
	}
	return k
}

// Once makes a POST happen once for each Idempotency-Key of a tenant. Without
// the header it does nothing.
//
// The POST of an endpoint of package run accepts a request: it takes its key in
// the commit that accepts it, by [admission.Gate.Accept], and repeats are
// answered from the request's row. Any other handler takes the id of what it
// makes from [httpapi.Exchange.NewID], writes it in a way that is harmless to
// repeat, and answers by [httpapi.Exchange.Send]: if it dies with the key held,
// the repeat runs it again under the same id.
func (s *Keys) Once(pattern string, h httpapi.Handler) httpapi.Handler {
	return func(x *httpapi.Exchange, r *http.Request) error {
		keys := r.Header.Values(header)
		if len(keys) == 0 {
			return h(x, r)
		}
		if len(keys) > 1 || !isLegalKey(keys[0]) {
			x.LeaveBody(r)
			return fault.Invalid("", "invalid_idempotency_key",
				fmt.Sprintf("The Idempotency-Key must be one header of 1 to %d printable ASCII characters.", maxKey))
		}
		body, err := x.ReadBody(r)
		if err != nil {
			return err
		}
		x.Body, x.Once = body, keystore.Key{Key: keys[0], Hash: hashRequest(r, body)}
		if s.accepting[pattern] {
			return s.acceptOnce(x, r, h)
		}
		return s.makeOnce(x, r, h)
	}
}

func isLegalKey(key string) bool {
	for _, c := range []byte(key) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return key != "" && len(key) <= maxKey
}

// hashRequest returns the hash of what a repeat has in common with the first
// use of its key: method, path, query and body.
func hashRequest(r *http.Request, body []byte) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", r.Method, r.URL.RequestURI())
	h.Write(body)
	return h.Sum(nil)
}

// keyReused is a 422 and not a 409, because SDKs repeat a 409.
func keyReused(x *httpapi.Exchange) *fault.Error {
	x.Header().Set("X-Should-Retry", "false")
	return &fault.Error{
		Status: http.StatusUnprocessableEntity, Type: "invalid_request_error", Code: "idempotency_key_reused",
		Message: "This Idempotency-Key was used before for another request. Use a new key for each request.",
	}
}

// acceptOnce looks the key up before it runs the handler, so that a repeat is
// neither refused for what has changed since nor counted against a limit. If
// two exchanges both find nothing, one accepts; the other may be refused for
// what the first has done, and looks again.
func (s *Keys) acceptOnce(x *httpapi.Exchange, r *http.Request, h httpapi.Handler) error {
	seen, err := s.lookUp(r.Context(), x)
	if errors.Is(err, store.ErrNotFound) {
		refused := h(x, r)
		repeated := errors.Is(refused, keystore.ErrUsed)
		if refused == nil || x.Accepted ||
			!repeated && httpapi.FaultOf(refused).Status >= http.StatusInternalServerError {
			return refused
		}
		seen, err = s.lookUp(r.Context(), x)
		switch {
		case errors.Is(err, store.ErrNotFound) && repeated: // the key has just expired
			return fault.Unavailable(httpapi.RetryAfter)
		case errors.Is(err, store.ErrNotFound):
			return refused
		}
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(seen.Hash, x.Once.Hash) {
		return keyReused(x)
	}
	return s.repeat(x, r, seen.ID)
}

func (s *Keys) lookUp(ctx context.Context, x *httpapi.Exchange) (*keystore.Use, error) {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	return query.Retry(ctx, s.tasks, func(ctx context.Context) (*keystore.Use, error) {
		return s.store.Read(ctx, x.Who.Tenant, x.Once.Key)
	})
}

// repeat answers for the request that was accepted with the same key: a stream
// from its first event on, a background request in its present state, a
// foreground one at its end. A repeat that hangs up does not cancel the
// request.
func (s *Keys) repeat(x *httpapi.Exchange, r *http.Request, id uuid.UUID) error {
	x.RequestID = run.Hex(id)
	x.Header().Set(replayedHeader, "true")
	ended := s.waiters.Watch(id)
	defer s.waiters.Forget(id)
	a, err := s.waiters.LookUp(r.Context(), x.Who.Tenant, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && a.Erased {
		return fault.NotFound("What was made with this Idempotency-Key has been deleted.")
	}
	if err != nil {
		return err
	}
	if render.IsCall(a) {
		x.Header().Set(answer.RequestHeader, run.CallID.Format(id))
	}
	switch {
	case a.Streamed && render.IsCall(a):
		return s.streams.ReplayCall(x, r, a)
	case a.Streamed:
		body, err := s.rules.Narrow(x.Who, x.Body) // as when it was accepted
		if err != nil {
			return err
		}
		c, f := responses.Decode(body)
		if f != nil {
			return fmt.Errorf("repeat request %s: its body is not what was accepted", a.ID)
		}
		return s.streams.ReplayResponse(x, r, a, c, -1)
	case a.Background || a.Status.Terminal():
		return s.answers.Show(x, a)
	}
	return s.answers.Await(x, r, store.NewRequest{
		ID: id, Tenant: x.Who.Tenant, Timeout: s.deadline, Unstored: !a.Stored, Once: x.Once,
	}, ended)
}

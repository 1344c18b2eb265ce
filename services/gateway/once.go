package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
)

const (
	onceHeader     = "Idempotency-Key"
	replayedHeader = "Idempotent-Replayed"
	maxOnceKey     = 255

	// onceHold is how long one POST that accepts no request may take before a
	// repeat of it takes it for dead.
	onceHold = 10 * time.Second
	// oncePause is the time between two looks at a key that another exchange
	// holds.
	oncePause = 50 * time.Millisecond
	// maxKept bounds an answer that is kept for repeats. A longer one is made
	// again, under the same id.
	maxKept = 256 << 10
)

// accepting are the routes whose POST accepts a request: it takes its
// Idempotency-Key in the commit that accepts it, and repeats are answered from
// its row.
var accepting = map[string]bool{
	"/v1/responses":        true,
	compactPath:            true,
	inputTokensPath:        true,
	"/v1/chat/completions": true,
	"/v1/completions":      true,
	"/v1/embeddings":       true,
}

// once makes a POST happen once for each Idempotency-Key of a tenant. Without
// the header it does nothing.
//
// A handler of an accepting route has to accept by [server.accept]. Any other
// takes the id of what it makes from
// [exchange.newID], writes it so that writing it twice is harmless, and answers
// by [server.send]: if it dies with the key held, the repeat runs it again
// under the same id.
func (s *server) once(pattern string, h httpapi.Handler) httpapi.Handler {
	return func(x *httpapi.Exchange, r *http.Request) error {
		keys := r.Header.Values(onceHeader)
		if len(keys) == 0 {
			return h(x, r)
		}
		if len(keys) > 1 || !legalOnceKey(keys[0]) {
			x.LeaveBody(r)
			return fault.Invalid("", "invalid_idempotency_key",
				fmt.Sprintf("The Idempotency-Key must be one header of 1 to %d printable ASCII characters.", maxOnceKey))
		}
		body, err := x.ReadBody(r)
		if err != nil {
			return err
		}
		x.Body, x.Once = body, store.Once{Key: keys[0], Hash: onceHash(r, body)}
		if accepting[pattern] {
			return s.acceptOnce(x, r, h)
		}
		return s.makeOnce(x, r, h)
	}
}

func legalOnceKey(key string) bool {
	for _, c := range []byte(key) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return key != "" && len(key) <= maxOnceKey
}

// onceHash is what a repeat must have in common with the first use of its key.
func onceHash(r *http.Request, body []byte) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", r.Method, r.URL.RequestURI())
	h.Write(body)
	return h.Sum(nil)
}

// onceReused is no 409: SDKs send those again.
func onceReused(x *httpapi.Exchange) *fault.Error {
	x.Header().Set("X-Should-Retry", "false")
	return &fault.Error{
		Status: http.StatusUnprocessableEntity, Type: "invalid_request_error", Code: "idempotency_key_reused",
		Message: "This Idempotency-Key was used before for another request. Use a new key for each request.",
	}
}

// acceptOnce looks before it runs the handler, so that a repeat is neither
// refused for what has changed since nor held against a limit. Of two that both
// find nothing, one accepts; the other may be refused for what the first has
// done, and looks again.
func (s *server) acceptOnce(x *httpapi.Exchange, r *http.Request, h httpapi.Handler) error {
	seen, err := s.seen(r.Context(), x)
	if errors.Is(err, store.ErrNotFound) {
		refused := h(x, r)
		repeated := errors.Is(refused, store.ErrRepeat)
		if refused == nil || x.Accepted || !repeated && httpapi.FaultOf(refused).Status >= http.StatusInternalServerError {
			return refused
		}
		seen, err = s.seen(r.Context(), x)
		switch {
		case errors.Is(err, store.ErrNotFound) && repeated: // its time is over, just now
			return fault.Unavailable(httpapi.RetryAfter)
		case errors.Is(err, store.ErrNotFound):
			return refused
		}
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(seen.Hash, x.Once.Hash) {
		return onceReused(x)
	}
	return s.repeat(x, r, seen.ID)
}

func (s *server) seen(ctx context.Context, x *httpapi.Exchange) (*store.Seen, error) {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	return query.Retry(ctx, &s.tasks, func(ctx context.Context) (*store.Seen, error) {
		return s.store.Seen(ctx, x.Who.Tenant, x.Once.Key)
	})
}

// repeat answers for the request that was accepted with the same key: a stream
// from its first event on, one in the background as it stands, one in the
// foreground at its end. Every repeat waits for itself, and none of them
// cancels the request when it hangs up.
func (s *server) repeat(x *httpapi.Exchange, r *http.Request, id uuid.UUID) error {
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
		x.Header().Set(callHeader, run.CallID.Format(id))
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
		return s.show(x, a)
	}
	a, err = s.waiters.Await(r.Context(), store.NewRequest{
		ID: id, Tenant: x.Who.Tenant, Timeout: s.cfg.Registry.Limits().Deadline, Unstored: !a.Stored, Once: x.Once,
	}, ended)
	if err != nil {
		return err
	}
	return s.show(x, a)
}

// makeOnce runs a handler that accepts no request while it holds the key, and
// keeps its answer for repeats. Refusals are not kept.
func (s *server) makeOnce(x *httpapi.Exchange, r *http.Request, h httpapi.Handler) error {
	seen, err := s.hold(r.Context(), x)
	switch {
	case err != nil:
		return err
	case seen != nil && !bytes.Equal(seen.Hash, x.Once.Hash):
		return onceReused(x)
	case seen != nil:
		x.Header().Set(replayedHeader, "true")
		x.Send(seen.Status, seen.Answer)
		return nil
	}
	err = h(x, r)
	s.letGo(x, err)
	return err
}

// hold takes the exchange's key, or returns what was done with it. It waits for
// another that holds it.
func (s *server) hold(ctx context.Context, x *httpapi.Exchange) (*store.Seen, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an id: %w", err)
	}
	until := time.Now().Add(onceHold + query.Timeout)
	for {
		made, err := s.tryHold(ctx, x, id)
		if err == nil {
			x.Fresh = made
			return nil, nil
		}
		if !errors.Is(err, store.ErrRepeat) {
			return nil, err
		}
		seen, err := s.seen(ctx, x)
		if err == nil && (seen.Status != 0 || !bytes.Equal(seen.Hash, x.Once.Hash)) {
			return seen, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) { // not found: it was released meanwhile
			return nil, err
		}
		if time.Now().After(until) {
			return nil, fault.Unavailable(httpapi.RetryAfter) // one holder after the other died of it
		}
		if !process.Sleep(ctx, oncePause) {
			return nil, httpapi.ErrHungUp
		}
	}
}

func (s *server) tryHold(ctx context.Context, x *httpapi.Exchange, id uuid.UUID) (uuid.UUID, error) {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	tries := 0
	return query.Retry(ctx, &s.tasks, func(ctx context.Context) (uuid.UUID, error) {
		tries++
		made, err := s.store.Hold(ctx, x.Who.Tenant, x.Once, id, onceHold)
		if tries > 1 && errors.Is(err, store.ErrRepeat) { // held by our own first try, whose answer was lost?
			if seen, err := s.store.Seen(ctx, x.Who.Tenant, x.Once.Key); err == nil && seen.ID == id && seen.Status == 0 {
				return id, nil
			}
		}
		return made, err
	})
}

// letGo ends a hold. What cannot be written down now ends by itself.
func (s *server) letGo(x *httpapi.Exchange, failed error) {
	ctx, cancel := query.WithTimeout(context.Background()) // the client may have gone
	defer cancel()
	_, err := query.Retry(ctx, &s.tasks, func(ctx context.Context) (struct{}, error) {
		answer := x.Sent
		if x.Kept != nil {
			answer = x.Kept
		}
		if failed == nil && answer != nil && len(answer) <= maxKept && x.Status < http.StatusBadRequest {
			return struct{}{}, s.store.Keep(ctx, x.Who.Tenant, x.Once.Key, x.Fresh, x.Status, answer)
		}
		nothing := failed != nil && httpapi.FaultOf(failed).Status < http.StatusInternalServerError
		return struct{}{}, s.store.Release(ctx, x.Who.Tenant, x.Once.Key, x.Fresh, !nothing)
	})
	if err != nil && !errors.Is(err, store.ErrStale) {
		s.log.Warn("idempotency key left held", zap.String("delivery", x.ID), zap.Error(err))
	}
}

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
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
)

const (
	onceHeader     = "Idempotency-Key"
	replayedHeader = "Idempotent-Replayed"
	maxOnceKey     = 255

	// onceHold is how long one POST that accepts no request may take before a repeat of it takes it for dead.
	onceHold = 10 * time.Second
	// oncePause is the time between two looks at a key that another exchange holds.
	oncePause = 50 * time.Millisecond
	// maxKept bounds an answer that is kept for repeats. A longer one is made again, under the same id.
	maxKept = 256 << 10
)

// accepting are the routes whose POST accepts a request: it takes its Idempotency-Key in the commit that accepts it, and repeats
// are answered from its row.
var accepting = map[string]bool{
	"/v1/responses":        true,
	compactPath:            true,
	inputTokensPath:        true,
	"/v1/chat/completions": true,
	"/v1/completions":      true,
	"/v1/embeddings":       true,
}

// once makes a POST happen once for each Idempotency-Key of a tenant. Without the header it does nothing.
//
// A handler of an accepting route has to accept by [server.accept]. Any other takes the id of what it makes from
// [exchange.newID], writes it so that writing it twice is harmless, and answers by [server.send]: if it dies with the key held, the
// repeat runs it again under the same id.
func (s *server) once(pattern string, h handler) handler {
	return func(x *exchange, r *http.Request) error {
		keys := r.Header.Values(onceHeader)
		if len(keys) == 0 {
			return h(x, r)
		}
		if len(keys) > 1 || !legalOnceKey(keys[0]) {
			leaveBody(x, r)
			return fault.Invalid("", "invalid_idempotency_key",
				fmt.Sprintf("The Idempotency-Key must be one header of 1 to %d printable ASCII characters.", maxOnceKey))
		}
		body, err := s.readBody(x, r)
		if err != nil {
			return err
		}
		x.body, x.once = body, store.Once{Key: keys[0], Hash: onceHash(r, body)}
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
func onceReused(x *exchange) *fault.Error {
	x.Header().Set("X-Should-Retry", "false")
	return &fault.Error{
		Status: http.StatusUnprocessableEntity, Type: "invalid_request_error", Code: "idempotency_key_reused",
		Message: "This Idempotency-Key was used before for another request. Use a new key for each request.",
	}
}

// acceptOnce looks before it runs the handler, so that a repeat is neither refused for what has changed since nor held against a
// limit. Of two that both find nothing, one accepts; the other may be refused for what the first has done, and looks again.
func (s *server) acceptOnce(x *exchange, r *http.Request, h handler) error {
	seen, err := s.seen(r.Context(), x)
	if errors.Is(err, store.ErrNotFound) {
		refused := h(x, r)
		repeated := errors.Is(refused, store.ErrRepeat)
		if refused == nil || x.accepted || !repeated && faultOf(refused).Status >= http.StatusInternalServerError {
			return refused
		}
		seen, err = s.seen(r.Context(), x)
		switch {
		case errors.Is(err, store.ErrNotFound) && repeated: // its time is over, just now
			return fault.Unavailable(retryAfter)
		case errors.Is(err, store.ErrNotFound):
			return refused
		}
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(seen.Hash, x.once.Hash) {
		return onceReused(x)
	}
	return s.repeat(x, r, seen.ID)
}

func (s *server) seen(ctx context.Context, x *exchange) (*store.Seen, error) {
	ctx, cancel := patient(ctx)
	defer cancel()
	return within(ctx, &s.tasks, func(ctx context.Context) (*store.Seen, error) {
		return s.store.Seen(ctx, x.who.tenant, x.once.Key)
	})
}

// repeat answers for the request that was accepted with the same key: a stream from its first event on, one in the background as it
// stands, one in the foreground at its end. Every repeat waits for itself, and none of them cancels the request when it hangs up.
func (s *server) repeat(x *exchange, r *http.Request, id uuid.UUID) error {
	x.requestID = dispatch.BusID(id)
	x.Header().Set(replayedHeader, "true")
	ended := s.waiters.watch(id)
	defer s.waiters.forget(id)
	a, err := s.lookUp(r.Context(), x.who.tenant, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && a.Erased {
		return fault.NotFound("What was made with this Idempotency-Key has been deleted.")
	}
	if err != nil {
		return err
	}
	if isCall(a) {
		x.Header().Set(callHeader, callPrefix+x.requestID)
	}
	switch {
	case a.Streamed && isCall(a):
		return s.replayCall(x, r, a)
	case a.Streamed:
		body, err := s.narrow(x.who, x.body) // as when it was accepted
		if err != nil {
			return err
		}
		c, f := responses.Decode(body)
		if f != nil {
			return fmt.Errorf("repeat request %s: its body is not what was accepted", a.ID)
		}
		return s.replay(x, r, a, c, -1)
	case a.Background || a.Status.Terminal():
		return s.show(x, a)
	}
	return s.await(x, r, store.NewRequest{
		ID: id, Tenant: x.who.tenant, Timeout: s.cfg.Registry.Limits().Deadline, Unstored: !a.Stored, Once: x.once,
	}, ended)
}

// makeOnce runs a handler that accepts no request while it holds the key, and keeps its answer for repeats. Refusals are not kept.
func (s *server) makeOnce(x *exchange, r *http.Request, h handler) error {
	seen, err := s.hold(r.Context(), x)
	switch {
	case err != nil:
		return err
	case seen != nil && !bytes.Equal(seen.Hash, x.once.Hash):
		return onceReused(x)
	case seen != nil:
		x.Header().Set(replayedHeader, "true")
		s.send(x, seen.Status, seen.Answer)
		return nil
	}
	err = h(x, r)
	s.letGo(x, err)
	return err
}

// hold takes the exchange's key, or returns what was done with it. It waits for another that holds it.
func (s *server) hold(ctx context.Context, x *exchange) (*store.Seen, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an id: %w", err)
	}
	until := time.Now().Add(onceHold + patience)
	for {
		made, err := s.tryHold(ctx, x, id)
		if err == nil {
			x.fresh = made
			return nil, nil
		}
		if !errors.Is(err, store.ErrRepeat) {
			return nil, err
		}
		seen, err := s.seen(ctx, x)
		if err == nil && (seen.Status != 0 || !bytes.Equal(seen.Hash, x.once.Hash)) {
			return seen, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) { // not found: it was released meanwhile
			return nil, err
		}
		if time.Now().After(until) {
			return nil, fault.Unavailable(retryAfter) // one holder after the other died of it
		}
		if !process.Sleep(ctx, oncePause) {
			return nil, errHungUp
		}
	}
}

func (s *server) tryHold(ctx context.Context, x *exchange, id uuid.UUID) (uuid.UUID, error) {
	ctx, cancel := patient(ctx)
	defer cancel()
	tries := 0
	return within(ctx, &s.tasks, func(ctx context.Context) (uuid.UUID, error) {
		tries++
		made, err := s.store.Hold(ctx, x.who.tenant, x.once, id, onceHold)
		if tries > 1 && errors.Is(err, store.ErrRepeat) { // held by our own first try, whose answer was lost?
			if seen, err := s.store.Seen(ctx, x.who.tenant, x.once.Key); err == nil && seen.ID == id && seen.Status == 0 {
				return id, nil
			}
		}
		return made, err
	})
}

// letGo ends a hold. What cannot be written down now ends by itself.
func (s *server) letGo(x *exchange, failed error) {
	ctx, cancel := patient(context.Background()) // the client may have gone
	defer cancel()
	_, err := within(ctx, &s.tasks, func(ctx context.Context) (struct{}, error) {
		answer := x.sent
		if x.kept != nil {
			answer = x.kept
		}
		if failed == nil && answer != nil && len(answer) <= maxKept && x.status < http.StatusBadRequest {
			return struct{}{}, s.store.Keep(ctx, x.who.tenant, x.once.Key, x.fresh, x.status, answer)
		}
		nothing := failed != nil && faultOf(failed).Status < http.StatusInternalServerError
		return struct{}{}, s.store.Release(ctx, x.who.tenant, x.once.Key, x.fresh, !nothing)
	})
	if err != nil && !errors.Is(err, store.ErrStale) {
		s.log.Warn("idempotency key left held", zap.String("delivery", x.id), zap.Error(err))
	}
}

package gateway

import (
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store"
)

// exchange is one HTTP request on its way through the handlers, as its log line and metrics will tell it.
type exchange struct {
	http.ResponseWriter
	id        string       // x-request-id
	route     string       // the pattern that matched
	who       principal    // set once the key was checked
	requestID string       // of the row it concerns, as everywhere else in the logs
	status    int          // 0 until the answer has begun
	err       error        // what is behind a 5xx
	refused   *fault.Error // what a client was told by an error, nil if it was answered

	// Of a POST with an Idempotency-Key, see [server.once].
	body  []byte     // read to its end
	once  store.Once // the key
	fresh uuid.UUID  // what the key's holder makes
	// accepted: this exchange has accepted a request, and answers for it.
	accepted bool
	sent     []byte // the answer
	kept     []byte // what repeats are answered, if that is not the same

	quota http.Header // what the tenant's limits leave, for the head of the answer
}

// newID is the id of something that the exchange makes: a new one, or the one that an earlier exchange with the same Idempotency-Key
// would have given it.
func (x *exchange) newID() (uuid.UUID, error) {
	if x.fresh != uuid.Nil {
		return x.fresh, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

// WriteHeader notes the status, and adds what is to be told of limits.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
		maps.Copy(x.Header(), x.quota)
	}
	x.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// observe numbers, counts and logs every exchange, and makes an answer of a panic.
func (s *server) observe(next func(*exchange, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.tasks.Add(1)
		defer s.tasks.Done()
		began := time.Now()
		x := &exchange{ResponseWriter: w, id: uuid.NewString(), route: "/"}
		x.Header().Set("X-Request-Id", x.id)
		defer func() {
			if p := recover(); p != nil {
				s.panicked(x, p)
			}
			s.note(x, time.Since(began))
		}()
		next(x, r)
	})
}

func (s *server) panicked(x *exchange, p any) {
	x.err = panicError(p)
	if x.status == 0 {
		s.send(x, http.StatusInternalServerError, fault.Internal().JSON())
	}
}

// panicError is a panic, where it was recovered, as an error.
func panicError(p any) error {
	what := fmt.Sprintf("%T", p)
	if bug, ok := p.(runtime.Error); ok { // of anything else the text may be a client's
		what = bug.Error()
	}
	return fmt.Errorf("panic: %s\n%s", what, debug.Stack())
}

// note writes the exchange's one log line. The field delivery is its x-request-id.
func (s *server) note(x *exchange, took time.Duration) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	code := strconv.Itoa(x.status)
	s.metrics.observe(x.route, code, took)
	log := s.log.Info
	if x.route == preflightRoute { // one precedes most requests of a page
		log = s.log.Debug
	}
	if x.err != nil && x.status == http.StatusServiceUnavailable {
		log = s.log.Warn // the dependency's own alarm is somebody else's
	} else if x.err != nil {
		log = s.log.Error
	}
	fields := []zap.Field{
		zap.String("kind", x.route), zap.String("delivery", x.id), zap.String("outcome", code), zap.Duration("took", took),
	}
	if x.requestID != "" {
		fields = append(fields, zap.String("request_id", x.requestID))
	}
	if f := x.refused; f != nil {
		fields = append(fields, zap.String("code", f.Code), zap.String("param", printable(excerpt(f.Param))))
	}
	switch {
	case x.err != nil:
		fields = append(fields, zap.Error(x.err))
	case x.refused != nil && x.status < http.StatusInternalServerError:
		fields = append(fields, zap.String("error", printable(withoutQuotes(x.refused.Message))))
	}
	log("request served", fields...)
}

// printable is text without control characters: a refusal quotes the client, which must not write to a terminal that shows the log.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

package httpapi

import (
	"fmt"
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
)

// observe gives every exchange an id, counts and logs it, and answers 500 after
// a panic.
func (a *API) observe(next func(*Exchange, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.tasks.Add(1)
		defer a.tasks.Done()
		began := time.Now()
		x := &Exchange{ResponseWriter: w, ID: uuid.NewString(), Route: "/", api: a}
		x.Header().Set("X-Request-Id", x.ID)
		defer func() {
			if p := recover(); p != nil {
				x.Err = PanicError(p)
				if x.Status == 0 {
					x.Send(http.StatusInternalServerError, fault.Internal().JSON())
				}
			}
			x.Memory.Close()
			a.record(x, time.Since(began))
		}()
		next(x, r)
	})
}

// PanicError makes an error of a recovered panic, with its stack.
func PanicError(p any) error {
	what := fmt.Sprintf("%T", p)
	if bug, ok := p.(runtime.Error); ok { // any other text may be a client's
		what = bug.Error()
	}
	return fmt.Errorf("panic: %s\n%s", what, debug.Stack())
}

// record counts the exchange and writes its one log line. The field delivery is
// its x-request-id.
func (a *API) record(x *Exchange, took time.Duration) {
	if x.Status == 0 {
		x.Status = http.StatusOK
	}
	code := strconv.Itoa(x.Status)
	a.metrics.observe(x.Route, code, took)
	log := a.log.Info
	if x.Route == preflightRoute { // one precedes most requests of a page
		log = a.log.Debug
	}
	if x.Err != nil && x.Status == http.StatusServiceUnavailable {
		log = a.log.Warn // the dependency that is away raises its own alarm
	} else if x.Err != nil {
		log = a.log.Error
	}
	fields := []zap.Field{
		zap.String("kind", x.Route),
		zap.String("delivery", x.ID),
		zap.String("outcome", code),
		zap.Duration("took", took),
	}
	if x.RequestID != "" {
		fields = append(fields, zap.String("request_id", x.RequestID))
	}
	if f := x.refused; f != nil {
		fields = append(fields, zap.String("code", f.Code), zap.String("param", printable(Excerpt(f.Param))))
	}
	switch {
	case x.Err != nil:
		fields = append(fields, zap.Error(x.Err))
	case x.refused != nil && x.Status < http.StatusInternalServerError:
		fields = append(fields, zap.String("error", printable(WithoutQuotes(x.refused.Message))))
	}
	log("request served", fields...)
}

// printable replaces control characters: an error message quotes the client,
// which must not write to a terminal that shows the log.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// WithoutQuotes removes what a message quotes of a request, from the first
// quotation mark or bracket to the last. Logs hold no words of clients.
func WithoutQuotes(message string) string {
	first := strings.IndexFunc(strings.NewReplacer("n't", "n_t", "'s ", "_s ").Replace(message), isQuote)
	last := strings.LastIndexFunc(message, isQuote)
	if first < 0 || last <= first {
		return message
	}
	return message[:first+1] + "…" + message[last:]
}

func isQuote(r rune) bool { return strings.ContainsRune("'\"`()", r) }

// Excerpt shortens what a client sent for use in a message.
func Excerpt(text string) string {
	const limit = 80
	if r := []rune(text[:min(len(text), 4*limit)]); len(r) > limit {
		return string(r[:limit]) + "..."
	}
	return text
}

package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/cost"
)

const (
	// A client has bodyGrace to begin and then has to deliver bodyRate bytes a
	// second. What it has sent faster allows for a pause of up to bodyPause,
	// and no longer: meanwhile its body is in memory.
	bodyGrace = 15 * time.Second
	bodyRate  = 16 << 10
	bodyPause = 20 * time.Second
)

// ReadBody reads a JSON body to its limit and no further. After package
// idempotency has set Body it returns that, any number of times.
func (x *Exchange) ReadBody(r *http.Request) ([]byte, error) {
	if x.Body != nil {
		return x.Body, nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, mediaFault(
			fmt.Sprintf("Unsupported Content-Encoding '%s': send the body as it is.", Excerpt(encoding)),
		)
	}
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" {
			return nil, mediaFault(
				fmt.Sprintf("Unsupported Content-Type '%s': use 'application/json'.", Excerpt(kind)),
			)
		}
	}
	if r.ContentLength > x.api.maxBody {
		return nil, TooLarge(x.api.maxBody)
	}
	paced := &pacedReader{
		from:  http.MaxBytesReader(x.ResponseWriter, r.Body, x.api.maxBody),
		conn:  http.NewResponseController(x),
		until: time.Now().Add(bodyGrace),
	}
	body, err := cost.Read(r.Context(), x.lease(), paced, r.ContentLength)
	if err == nil {
		err = paced.conn.SetReadDeadline(time.Time{}) // later reads only notice that the client hangs up
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &large):
		return nil, TooLarge(x.api.maxBody)
	case cost.IsRefusal(err):
		x.LeaveBody(r)
		return nil, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &fault.Error{
			Status: http.StatusRequestTimeout, Type: "invalid_request_error", Code: "request_timeout",
			Message: "The body of your request came too slowly.",
		}
	case r.Context().Err() != nil:
		return nil, ErrHungUp
	}
	return nil, fault.Invalid("", "", "The body of your request could not be read to its end.")
}

// TooLarge refuses a body of more than limit bytes.
func TooLarge(limit int64) error {
	return &fault.Error{
		Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "request_too_large",
		Message: fmt.Sprintf("The body of your request is too large: at most %d bytes are allowed.", limit),
	}
}

func mediaFault(message string) error {
	return &fault.Error{
		Status:  http.StatusUnsupportedMediaType,
		Type:    "invalid_request_error",
		Code:    "unsupported_media_type",
		Message: message,
	}
}

// pacedReader gives a client more time for every byte it sends.
type pacedReader struct {
	from  io.Reader
	conn  *http.ResponseController
	until time.Time // when the next byte has to be there
	ended time.Time // of the last read
}

func (p *pacedReader) Read(b []byte) (int, error) {
	if !p.ended.IsZero() { // the time between two reads is ours
		p.until = p.until.Add(time.Since(p.ended))
	}
	if err := p.conn.SetReadDeadline(p.until); err != nil {
		return 0, err
	}
	n, err := p.from.Read(b)
	p.ended = time.Now()
	p.until = p.until.Add(time.Duration(n) * time.Second / bodyRate)
	if latest := p.ended.Add(bodyPause); p.until.After(latest) {
		p.until = latest
	}
	return n, err
}

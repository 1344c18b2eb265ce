package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"windlass.dev/windlass/pkg/responses/fault"
)

// digest makes keys of any length comparable in constant time.
func digest(key string) [32]byte { return sha256.Sum256([]byte(key)) }

// keyed lets a request through that carries the API key. It looks at the header only: the body is not read yet.
func (s *server) keyed(h handler) handler {
	return func(x *exchange, r *http.Request) error {
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		key = strings.TrimSpace(key)
		if !strings.EqualFold(scheme, "Bearer") || key == "" {
			return unauthorized(x, r, "You didn't provide an API key. You need to provide your API key in an Authorization header "+
				"using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).")
		}
		given := digest(key)
		if subtle.ConstantTimeCompare(given[:], s.key[:]) != 1 {
			return unauthorized(x, r, "Incorrect API key provided.")
		}
		return h(x, r)
	}
}

func unauthorized(x *exchange, r *http.Request, message string) *fault.Error {
	x.Header().Set("WWW-Authenticate", "Bearer")
	if r.ContentLength != 0 { // net/http reads what is left of a body before it answers, unless the connection ends with it
		x.Header().Set("Connection", "close")
	}
	return &fault.Error{
		Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key", Message: message,
	}
}

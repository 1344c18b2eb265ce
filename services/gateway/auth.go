package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/internal/apikey"
)

// defaultTenant is whose requests WINDLASS_API_KEY makes and sees.
const defaultTenant = "default"

// principal is who asks.
type principal struct {
	tenant string
	keyID  string // "" for WINDLASS_API_KEY
	scopes []string
	models []string // nil: all
	tools  []string // registered ones; nil: all; empty: none
}

// maySee tells whether the key lets the principal see the model.
func (p principal) maySee(model string) bool {
	return p.models == nil || slices.Contains(p.models, model)
}

func (p principal) may(method string) bool {
	if slices.Contains(p.scopes, apikey.ScopeResponses) {
		return true
	}
	return slices.Contains(p.scopes, apikey.ScopeRead) && (method == http.MethodGet || method == http.MethodHead)
}

// administers tells whether the principal may see, make and revoke its tenant's keys.
func (p principal) administers() bool { return slices.Contains(p.scopes, apikey.ScopeAdmin) }

// digest makes keys of any length comparable in constant time.
func digest(key string) [32]byte { return sha256.Sum256([]byte(key)) }

// keyed lets a request through that carries a key with the right to it.
func (s *server) keyed(h handler) handler {
	return s.withRight(apikey.ScopeResponses, func(p principal, method string) bool { return p.may(method) }, h)
}

// adminKeyed lets those through who may do everything with their tenant's keys.
func (s *server) adminKeyed(h handler) handler {
	return s.withRight(apikey.ScopeAdmin, func(p principal, _ string) bool { return p.administers() }, h)
}

// withRight looks at the header only: the body is not read yet.
func (s *server) withRight(scope string, has func(p principal, method string) bool, h handler) handler {
	return func(x *exchange, r *http.Request) error {
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		key = strings.TrimSpace(key)
		if !strings.EqualFold(scheme, "Bearer") || key == "" {
			return unauthorized(x, r, "You didn't provide an API key. You need to provide your API key in an Authorization header "+
				"using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).")
		}
		who, err := s.principal(r, key)
		switch {
		case errors.Is(err, errKeyUnknown):
			return unauthorized(x, r, "Incorrect API key provided.")
		case err != nil:
			leaveBody(x, r)
			return err
		case !has(who, r.Method):
			return missingScope(x, r, scope)
		}
		x.who = who
		return h(x, r)
	}
}

// principal finds out who holds the key. errKeyUnknown: nobody.
func (s *server) principal(r *http.Request, given string) (principal, error) {
	if sum := digest(given); s.cfg.APIKey != "" && subtle.ConstantTimeCompare(sum[:], s.key[:]) == 1 {
		return principal{tenant: defaultTenant, scopes: apikey.Scopes}, nil
	}
	pepper := apikey.Pepper(s.cfg.KeyPepper)
	if len(pepper) == 0 {
		return principal{}, errKeyUnknown
	}
	parts, ok := pepper.Read(given)
	if !ok {
		return principal{}, errKeyUnknown
	}
	key, err := s.keys.key(r.Context(), parts.ID)
	if err != nil {
		return principal{}, err
	}
	if !pepper.Holds(key.Hash, parts.Secret) {
		return principal{}, errKeyUnknown
	}
	return principal{tenant: key.Tenant, keyID: key.ID, scopes: key.Scopes, models: key.Models, tools: key.Tools}, nil
}

func unauthorized(x *exchange, r *http.Request, message string) *fault.Error {
	x.Header().Set("WWW-Authenticate", "Bearer")
	leaveBody(x, r)
	return &fault.Error{
		Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key", Message: message,
	}
}

func forbidden(x *exchange, r *http.Request) *fault.Error {
	return missingScope(x, r, apikey.ScopeResponses)
}

func missingScope(x *exchange, r *http.Request, scope string) *fault.Error {
	leaveBody(x, r)
	return &fault.Error{
		Status: http.StatusForbidden, Type: "invalid_request_error", Code: "missing_scope",
		Message: "You have insufficient permissions for this operation. Missing scopes: " + scope + ".",
	}
}

// leaveBody ends the connection with the answer: net/http would read what is left of a body before it.
func leaveBody(x *exchange, r *http.Request) {
	if r.ContentLength != 0 {
		x.Header().Set("Connection", "close")
	}
}

package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/internal/apikey"
)

// defaultTenant is whose requests WINDLASS_API_KEY makes and sees.
const defaultTenant = "default"

// digest makes keys of any length comparable in constant time.
func digest(key string) [32]byte { return sha256.Sum256([]byte(key)) }

// keyed lets a request through that carries a key with the right to it.
func (s *server) keyed(h httpapi.Handler) httpapi.Handler {
	return s.withRight(apikey.ScopeResponses, func(p httpapi.Principal, method string) bool { return p.May(method) }, h)
}

// adminKeyed lets those through who may do everything with their tenant's keys.
func (s *server) adminKeyed(h httpapi.Handler) httpapi.Handler {
	return s.withRight(apikey.ScopeAdmin, func(p httpapi.Principal, _ string) bool { return p.Administers() }, h)
}

// withRight looks at the header only: the body is not read yet.
func (s *server) withRight(scope string, has func(p httpapi.Principal, method string) bool, h httpapi.Handler) httpapi.Handler {
	return func(x *httpapi.Exchange, r *http.Request) error {
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
			x.LeaveBody(r)
			return err
		case !has(who, r.Method):
			return missingScope(x, r, scope)
		}
		x.Who = who
		return h(x, r)
	}
}

// principal finds out who holds the key. errKeyUnknown: nobody.
func (s *server) principal(r *http.Request, given string) (httpapi.Principal, error) {
	if sum := digest(given); s.cfg.APIKey != "" && subtle.ConstantTimeCompare(sum[:], s.key[:]) == 1 {
		return httpapi.Principal{Tenant: defaultTenant, Scopes: apikey.Scopes}, nil
	}
	pepper := apikey.Pepper(s.cfg.KeyPepper)
	if len(pepper) == 0 {
		return httpapi.Principal{}, errKeyUnknown
	}
	parts, ok := pepper.Read(given)
	if !ok {
		return httpapi.Principal{}, errKeyUnknown
	}
	key, err := s.keys.key(r.Context(), parts.ID)
	if err != nil {
		return httpapi.Principal{}, err
	}
	if !pepper.Holds(key.Hash, parts.Secret) {
		return httpapi.Principal{}, errKeyUnknown
	}
	return httpapi.Principal{Tenant: key.Tenant, KeyID: key.ID, Scopes: key.Scopes, Models: key.Models, Tools: key.Tools}, nil
}

func unauthorized(x *httpapi.Exchange, r *http.Request, message string) *fault.Error {
	x.Header().Set("WWW-Authenticate", "Bearer")
	x.LeaveBody(r)
	return &fault.Error{
		Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key", Message: message,
	}
}

func forbidden(x *httpapi.Exchange, r *http.Request) *fault.Error {
	return missingScope(x, r, apikey.ScopeResponses)
}

func missingScope(x *httpapi.Exchange, r *http.Request, scope string) *fault.Error {
	x.LeaveBody(r)
	return &fault.Error{
		Status: http.StatusForbidden, Type: "invalid_request_error", Code: "missing_scope",
		Message: "You have insufficient permissions for this operation. Missing scopes: " + scope + ".",
	}
}

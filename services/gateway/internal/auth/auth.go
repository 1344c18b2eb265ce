// Package auth checks API keys.
//
// A key is checked before the body is read. A revoke is effective within 5 s
// (TestRevokeIsHeardOfInTime in package gateway). A key that is not known to be
// bad is never answered with 401. With Postgres away, a key that this gateway
// has read stays valid for 65 s after that, revoked or not; then, and for every
// other key, the answer is 503 (TestKnownKeyOutlivesTheDatabaseForAMinute).
// Waiting for the lookup of such a key may add 250 ms to the second in which
// handlers answer. The same holds while the database takes longer than 0.9 s to
// read a key.
//
// The ids of keys prove that they were made with the pepper, so that made-up
// keys are refused without a query (package apikey, TestFloodIsCheap).
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"sync"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/internal/apikey"
)

// DefaultTenant is the tenant of WINDLASS_API_KEY.
const DefaultTenant = "default"

// Checker checks the API keys of requests. It is safe for concurrent use.
type Checker struct {
	apiKey [32]byte // digest of WINDLASS_API_KEY
	hasKey bool
	pepper apikey.Pepper
	keys   *keyring
}

// Options are the keys that a Checker accepts.
type Options struct {
	APIKey string                                                  // WINDLASS_API_KEY; "": there is no such key
	Pepper string                                                  // WINDLASS_KEY_PEPPER; "": no stored keys
	Find   func(ctx context.Context, id string) (*keys.Key, error) // reads a key from the database
	Tasks  *sync.WaitGroup                                         // counts the lookups that run
	Log    *zap.Logger
}

// New returns a Checker that remembers no key yet.
func New(o Options) *Checker {
	return &Checker{
		apiKey: digest(o.APIKey),
		hasKey: o.APIKey != "",
		pepper: apikey.Pepper(o.Pepper),
		keys:   newKeyring(o.Find, o.Tasks, o.Log),
	}
}

// digest makes keys of any length comparable in constant time.
func digest(key string) [32]byte { return sha256.Sum256([]byte(key)) }

// Require runs h for requests whose key has the scope that their method needs.
func (c *Checker) Require(h httpapi.Handler) httpapi.Handler {
	return c.require(apikey.ScopeResponses, func(p httpapi.Principal, method string) bool { return p.May(method) }, h)
}

// RequireAdmin runs h for requests whose key may manage its tenant's keys.
func (c *Checker) RequireAdmin(h httpapi.Handler) httpapi.Handler {
	return c.require(apikey.ScopeAdmin, func(p httpapi.Principal, _ string) bool { return p.Administers() }, h)
}

// require looks at the header only: the body is read after the key was checked.
func (c *Checker) require(
	scope string, allows func(p httpapi.Principal, method string) bool, h httpapi.Handler,
) httpapi.Handler {
	return func(x *httpapi.Exchange, r *http.Request) error {
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		key = strings.TrimSpace(key)
		if !strings.EqualFold(scheme, "Bearer") || key == "" {
			return unauthorized(
				x,
				r,
				"You didn't provide an API key. You need to provide your API key in an Authorization header "+
					"using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
			)
		}
		who, err := c.principal(r.Context(), key)
		switch {
		case errors.Is(err, errKeyUnknown):
			return unauthorized(x, r, "Incorrect API key provided.")
		case err != nil:
			x.LeaveBody(r)
			return err
		case !allows(who, r.Method):
			return MissingScope(x, r, scope)
		}
		x.Who = who
		return h(x, r)
	}
}

// CheckAgain checks the key of a WebSocket's upgrade once more, for a message
// that makes a request: the key may have been revoked since.
func (c *Checker) CheckAgain(x *httpapi.Exchange, r *http.Request) (httpapi.Principal, error) {
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	who, err := c.principal(r.Context(), strings.TrimSpace(key))
	switch {
	case errors.Is(err, errKeyUnknown):
		return httpapi.Principal{}, unauthorized(x, r, "Incorrect API key provided.")
	case err != nil:
		return httpapi.Principal{}, err
	case !who.May(http.MethodPost):
		return httpapi.Principal{}, MissingScope(x, r, apikey.ScopeResponses)
	}
	return who, nil
}

// principal returns the holder of a key. It returns errKeyUnknown if no active
// key matches; other errors mean that the lookup failed.
func (c *Checker) principal(ctx context.Context, given string) (httpapi.Principal, error) {
	if sum := digest(given); c.hasKey && subtle.ConstantTimeCompare(sum[:], c.apiKey[:]) == 1 {
		return httpapi.Principal{Tenant: DefaultTenant, Scopes: apikey.Scopes}, nil
	}
	if len(c.pepper) == 0 {
		return httpapi.Principal{}, errKeyUnknown
	}
	parts, ok := c.pepper.Read(given)
	if !ok {
		return httpapi.Principal{}, errKeyUnknown
	}
	key, err := c.keys.find(ctx, parts.ID)
	if err != nil {
		return httpapi.Principal{}, err
	}
	if !c.pepper.Holds(key.Hash, parts.Secret) {
		return httpapi.Principal{}, errKeyUnknown
	}
	return httpapi.Principal{
		Tenant: key.Tenant, KeyID: key.ID, Scopes: key.Scopes, Models: key.Models, Tools: key.Tools,
	}, nil
}

func unauthorized(x *httpapi.Exchange, r *http.Request, message string) *fault.Error {
	x.Header().Set("WWW-Authenticate", "Bearer")
	x.LeaveBody(r)
	return &fault.Error{
		Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key", Message: message,
	}
}

// MissingScope refuses a key that does not have the scope.
func MissingScope(x *httpapi.Exchange, r *http.Request, scope string) *fault.Error {
	x.LeaveBody(r)
	return &fault.Error{
		Status: http.StatusForbidden, Type: "invalid_request_error", Code: "missing_scope",
		Message: "You have insufficient permissions for this operation. Missing scopes: " + scope + ".",
	}
}

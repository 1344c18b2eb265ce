package httpapi

import (
	"net/http"
	"slices"

	"windlass.dev/windlass/services/internal/apikey"
)

// Principal is the holder of an API key and what the key allows.
type Principal struct {
	Tenant string
	KeyID  string // "" for WINDLASS_API_KEY
	Scopes []string
	Models []string // nil: all
	Tools  []string // registered ones; nil: all; empty: none
}

// MaySee reports whether the key allows the model.
func (p Principal) MaySee(model string) bool {
	return p.Models == nil || slices.Contains(p.Models, model)
}

// May reports whether the key allows a method on the routes of requests.
func (p Principal) May(method string) bool {
	if slices.Contains(p.Scopes, apikey.ScopeResponses) {
		return true
	}
	return slices.Contains(p.Scopes, apikey.ScopeRead) && (method == http.MethodGet || method == http.MethodHead)
}

// Administers reports whether the key may list, make and revoke its tenant's
// keys.
func (p Principal) Administers() bool { return slices.Contains(p.Scopes, apikey.ScopeAdmin) }

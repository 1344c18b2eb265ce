// Package adminapi serves the routes of API keys, for keys with the scope
// admin. Such a key manages the keys of its tenant and does nothing else. It
// makes none that may use other models or tools than itself; a key without such
// bounds makes any (TestKeysMakeNoStrongerKeys in package gateway).
package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/key"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/apikey"
)

// keyObject is a key in an answer.
type keyObject struct {
	ID        string   `json:"id"`
	Object    string   `json:"object"`
	Name      string   `json:"name"`
	Scopes    []string `json:"scopes"`
	Models    []string `json:"models"` // null: all
	Tools     []string `json:"tools"`  // null: all
	Status    string   `json:"status"`
	CreatedAt int64    `json:"created_at"`
	ExpiresAt *int64   `json:"expires_at"`
	RevokedAt *int64   `json:"revoked_at"`
	Key       string   `json:"key,omitempty"` // only in the answer that made it
}

func showKey(k *keys.Key) keyObject {
	second := func(t *time.Time) *int64 {
		if t == nil {
			return nil
		}
		s := t.Unix()
		return &s
	}
	return keyObject{
		ID: k.ID, Object: "key", Name: k.Name, Scopes: k.Scopes, Models: k.Models, Tools: k.Tools, Status: k.State(),
		CreatedAt: k.CreatedAt.Unix(), ExpiresAt: second(k.ExpiresAt), RevokedAt: second(k.RevokedAt),
	}
}

// Server serves the routes of keys, for keys with the scope admin. It is safe
// for concurrent use.
type Server struct {
	keys   *keys.Store
	pepper apikey.Pepper // empty: no key can be made
	tasks  *sync.WaitGroup
	log    *zap.Logger
}

// New returns a server of the routes of keys.
func New(k *keys.Store, pepper string, tasks *sync.WaitGroup, log *zap.Logger) *Server {
	return &Server{keys: k, pepper: apikey.Pepper(pepper), tasks: tasks, log: log}
}

// Routes are the routes of keys.
func (s *Server) Routes() httpapi.Routes {
	return httpapi.Routes{
		"/v1/keys":      {http.MethodGet: s.listKeys, http.MethodPost: s.createKey},
		"/v1/keys/{id}": {http.MethodGet: s.readKey, http.MethodDelete: s.revokeKey},
	}
}

// createKey is POST /v1/keys: a key of the caller's tenant, which may do no
// more than the caller's key. Only this answer contains the key; a repeat with
// the same Idempotency-Key gets the answer without it and makes no other key.
func (s *Server) createKey(x *httpapi.Exchange, r *http.Request) error {
	if len(s.pepper) == 0 {
		return fault.Invalid(
			"", "keys_unavailable", "This server has no pepper for keys (WINDLASS_KEY_PEPPER): it can make none.",
		)
	}
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	c, f := key.Decode(body, apikey.Scopes...)
	if f == nil {
		f = c.Restrict(x.Who.Models, x.Who.Tools)
	}
	if f != nil {
		return f
	}
	seed, err := x.NewID()
	if err != nil {
		return err
	}
	made := s.pepper.NewAs(seed[:])
	kept, err := s.queryKey(r.Context(), made.ID, func(ctx context.Context) (*keys.Key, error) {
		return s.keys.Create(ctx, keys.NewKey{
			ID:     made.ID,
			Tenant: x.Who.Tenant,
			Name:   c.Name,
			Hash:   s.pepper.Hash(made.Secret),
			Scopes: c.Scopes,
			Models: c.Models,
			Tools:  c.Tools,
			TTL:    c.TTL,
			Most:   keys.Max,
		})
	})
	switch {
	case errors.Is(err, keys.ErrTooMany):
		return fault.Invalid(
			"", "too_many_keys", fmt.Sprintf("At most %d keys can be made, the revoked ones included.", keys.Max),
		)
	case errors.Is(err, keys.ErrExists): // an earlier exchange with the Idempotency-Key made it and did not answer
		return s.sendKey(
			r.Context(), x, made.ID,
			func(ctx context.Context) (*keys.Key, error) { return s.ownKey(ctx, x.Who.Tenant, made.ID) },
		)
	case err != nil:
		return err
	}
	s.log.Info("key made", zap.String("delivery", x.ID), zap.String("subject", made.ID))
	shown := showKey(kept)
	if x.Kept, err = json.Marshal(shown); err != nil {
		return fmt.Errorf("encode the key: %w", err)
	}
	shown.Key = made.String()
	x.Header().Set("Cache-Control", "no-store")
	return x.SendJSON(shown)
}

// listKeys is GET /v1/keys: the tenant's keys, newest first, including revoked
// and expired ones.
func (s *Server) listKeys(x *httpapi.Exchange, r *http.Request) error {
	p, err := httpapi.ReadPageQuery(r.URL.Query())
	if err != nil {
		return err
	}
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	all, err := query.Retry(
		ctx, s.tasks, func(ctx context.Context) ([]keys.Key, error) { return s.keys.List(ctx, x.Who.Tenant) },
	)
	if err != nil {
		return err
	}
	shown := make([]keyObject, len(all))
	for i := range all {
		shown[i] = showKey(&all[i])
	}
	piece, err := httpapi.Cut(p, shown, func(k keyObject) string { return k.ID })
	if err != nil {
		return err
	}
	return x.SendJSON(piece)
}

// readKey is GET /v1/keys/{id}.
func (s *Server) readKey(x *httpapi.Exchange, r *http.Request) error {
	id := r.PathValue("id")
	return s.sendKey(
		r.Context(), x, id, func(ctx context.Context) (*keys.Key, error) { return s.ownKey(ctx, x.Who.Tenant, id) },
	)
}

// revokeKey is DELETE /v1/keys/{id}. Within 5 s every gateway refuses the key.
// It stays in lists.
func (s *Server) revokeKey(x *httpapi.Exchange, r *http.Request) error {
	id := r.PathValue("id")
	if _, err := s.queryKey(r.Context(), id, func(ctx context.Context) (*keys.Key, error) {
		return s.keys.Revoke(ctx, x.Who.Tenant, id)
	}); err != nil {
		return err
	}
	s.log.Info("key revoked", zap.String("delivery", x.ID), zap.String("subject", id))
	return x.SendJSON(map[string]any{"id": id, "object": "key.deleted", "deleted": true})
}

func (s *Server) ownKey(ctx context.Context, tenant, id string) (*keys.Key, error) {
	k, err := s.keys.Read(ctx, id)
	if err == nil && k.Tenant != tenant {
		return nil, store.ErrNotFound
	}
	return k, err
}

func (s *Server) sendKey(
	ctx context.Context,
	x *httpapi.Exchange,
	id string,
	find func(context.Context) (*keys.Key, error),
) error {
	k, err := s.queryKey(ctx, id, find)
	if err != nil {
		return err
	}
	return x.SendJSON(showKey(k))
}

// queryKey runs a query about a key. It answers alike for an id that is
// malformed, unknown or another tenant's.
func (s *Server) queryKey(
	ctx context.Context,
	id string,
	ask func(context.Context) (*keys.Key, error),
) (*keys.Key, error) {
	nothing := fault.NotFound(fmt.Sprintf("Key with id '%s' not found.", httpapi.Excerpt(id)))
	if !apikey.IsID(id) {
		return nil, nothing
	}
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	k, err := query.Retry(ctx, s.tasks, ask)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nothing
	}
	return k, err
}

package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/near"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/catalog"
	"windlass.dev/windlass/services/gateway/internal/hints"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// wildcard is the model that serves every name not configured.
const wildcard = "*"

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// listWait is how long GET /v1/models waits for an upstream that was not asked
// before.
const listWait = 2 * time.Second

// newCatalog is what the wildcard's upstream serves; nil without a wildcard.
func (s *server) newCatalog() *catalog.Catalog {
	for _, m := range s.cfg.Registry.Models() {
		if m.Name == wildcard {
			return catalog.New(m.Upstream, &s.tasks, s.leaving, s.listFailed())
		}
	}
	return nil
}

// listFailed logs why an upstream did not list its models, once for each reason
// in a row.
func (s *server) listFailed() func(error) {
	var last string // one request at a time
	return func(err error) {
		s.listsFailed.Inc()
		if text := err.Error(); text != last {
			last = text
			s.log.Warn("upstream's models not listed, GET /v1/models has the configured ones only", zap.Error(err))
		}
	}
}

// models is GET /v1/models: the models by name, as far as the key may use them.
// In the place of a wildcard stands what its upstream lists; an upstream that
// does not answer takes nothing from the list but its own models.
func (s *server) models(x *httpapi.Exchange, r *http.Request) error {
	var served []catalog.Entry
	if s.catalog != nil {
		ctx, cancel := context.WithTimeout(r.Context(), listWait)
		defer cancel()
		served = s.catalog.Models(ctx)
	}
	return x.SendJSON(httpapi.List[modelObject]{Object: "list", Data: s.visible(x.Who, served)})
}

// visible are the configured models and those of the wildcard's upstream that a
// principal may use, by name.
func (s *server) visible(who httpapi.Principal, served []catalog.Entry) []modelObject {
	all := []modelObject{}
	seen := map[string]bool{wildcard: true}
	for _, m := range s.cfg.Registry.Models() {
		if !seen[m.Name] && s.maySee(who, m.Name) {
			all = append(all, s.modelObject(m.Name, catalog.Entry{}))
		}
		seen[m.Name] = true
	}
	for _, e := range served {
		if !seen[e.ID] && s.maySee(who, e.ID) {
			all = append(all, s.modelObject(e.ID, e))
		}
	}
	slices.SortFunc(all, func(a, b modelObject) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// modelObject describes a model as its upstream does, and otherwise as ours.
func (s *server) modelObject(name string, e catalog.Entry) modelObject {
	return modelObject{
		ID: name, Object: "model", Created: cmp.Or(e.Created, s.started.Unix()), OwnedBy: cmp.Or(e.OwnedBy, "windlass"),
	}
}

// oneModel is GET /v1/models/{model...}: whatever a request may name. Clients
// differ in whether they escape a slash in a name.
func (s *server) oneModel(x *httpapi.Exchange, r *http.Request) error {
	name := r.PathValue("model")
	if _, f := s.model(x.Who, name); f != nil {
		return f
	}
	var entry catalog.Entry
	for _, e := range s.knownModels() {
		if e.ID == name {
			entry = e
		}
	}
	if slices.ContainsFunc(s.cfg.Registry.Models(), func(m registry.Model) bool { return m.Name == name }) {
		entry = catalog.Entry{} // it may be another upstream's
	}
	return x.SendJSON(s.modelObject(name, entry))
}

// knownModels is what the wildcard's upstream has listed so far.
func (s *server) knownModels() []catalog.Entry {
	if s.catalog == nil {
		return nil
	}
	return s.catalog.Known()
}

// maySee tells whether a model exists for a principal: its key and its tenant
// may use it.
func (s *server) maySee(who httpapi.Principal, model string) bool {
	all := s.tenants.of(who.Tenant).Models
	return who.MaySee(model) && (all == nil || slices.Contains(all, model))
}

// model finds the model that a principal asks for. One that it may not see is
// not there.
func (s *server) model(who httpapi.Principal, name string) (registry.Model, *fault.Error) {
	m, ok := s.cfg.Registry.Model(name)
	if !ok || name == wildcard || !s.maySee(who, name) { // a wildcard serves other names than its own
		return registry.Model{}, &fault.Error{
			Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Param: "model",
			Message: fmt.Sprintf("The model '%s' does not exist or you do not have access to it.%s",
				httpapi.Excerpt(name), s.modelHint(who, name)),
		}
	}
	return m, nil
}

// modelHint names models that a principal may use: those near to the name that
// it wrote, or else the first ones.
func (s *server) modelHint(who httpapi.Principal, name string) string {
	const most = 5
	var names []string
	for _, m := range s.visible(who, s.knownModels()) {
		names = append(names, m.ID)
	}
	for _, allowed := range who.Models { // of a wildcard whose upstream has not listed them
		if _, ok := s.cfg.Registry.Model(allowed); ok && !slices.Contains(names, allowed) && s.maySee(who, allowed) {
			names = append(names, allowed)
		}
	}
	if meant := near.Names(name, names); len(meant) > 0 {
		return " Did you mean " + hints.List(meant, "or") + "?"
	}
	switch {
	case len(names) == 0:
		return " Your key may use no model of this server."
	case len(names) > most:
		return fmt.Sprintf(" Your key may use %s, for example; GET /v1/models lists all %d.",
			hints.List(names[:most], "and"), len(names))
	}
	return " Your key may use " + hints.List(names, "and") + "."
}

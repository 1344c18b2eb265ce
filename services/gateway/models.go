package gateway

import (
	"fmt"
	"net/http"
	"slices"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/fault"
)

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// models is GET /v1/models: the models by name, as far as the key may use them. A wildcard is not one; what it serves is not known here.
func (s *server) models(x *exchange, _ *http.Request) error {
	all := list[modelObject]{Object: "list", Data: []modelObject{}}
	for _, m := range s.cfg.Registry.Models() {
		if m.Name != "*" && s.maySee(x.who, m.Name) {
			all.Data = append(all.Data, s.modelObject(m))
		}
	}
	return s.sendJSON(x, all)
}

func (s *server) modelObject(m registry.Model) modelObject {
	return modelObject{ID: m.Name, Object: "model", Created: s.started.Unix(), OwnedBy: "windlass"}
}

// oneModel is GET /v1/models/{model}: whatever a request may name. Clients differ in whether they escape a slash in a name.
func (s *server) oneModel(x *exchange, r *http.Request) error {
	name := r.PathValue("model")
	if owner := r.PathValue("owner"); owner != "" {
		name = owner + "/" + name
	}
	m, f := s.model(x.who, name)
	if f != nil {
		return f
	}
	return s.sendJSON(x, s.modelObject(m))
}

// maySee tells whether a model exists for a principal: its key and its tenant may use it.
func (s *server) maySee(who principal, model string) bool {
	all := s.tenants.of(who.tenant).Models
	return who.maySee(model) && (all == nil || slices.Contains(all, model))
}

// model finds the model that a principal asks for. One that it may not see is not there.
func (s *server) model(who principal, name string) (registry.Model, *fault.Error) {
	m, ok := s.cfg.Registry.Model(name)
	if !ok || name == "*" || !s.maySee(who, name) { // a wildcard serves other names than its own
		return registry.Model{}, &fault.Error{
			Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Param: "model",
			Message: fmt.Sprintf("The model '%s' does not exist or you do not have access to it.", excerpt(name)),
		}
	}
	return m, nil
}

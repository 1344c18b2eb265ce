package gateway

import "net/http"

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
		if m.Name != "*" && x.who.maySee(m.Name) {
			all.Data = append(all.Data, modelObject{ID: m.Name, Object: "model", Created: s.started.Unix(), OwnedBy: "windlass"})
		}
	}
	return s.sendJSON(x, all)
}

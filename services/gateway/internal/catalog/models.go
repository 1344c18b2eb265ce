package catalog

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/metric"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/suggest"

	"windlass.dev/windlass/services/gateway/internal/hints"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/tenants"
)

// wildcard is the model that serves every name not configured.
const wildcard = "*"

type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// listWait is how long GET /v1/models waits for an upstream that has not
// answered yet.
const listWait = 2 * time.Second

// Models are the models that principals may use. They are safe for concurrent
// use.
type Models struct {
	registry *registry.Registry
	tenants  *tenants.Live
	upstream *Catalog // of the wildcard; nil without a wildcard
	started  time.Time
}

// ModelsOptions is what Models needs.
type ModelsOptions struct {
	Registry *registry.Registry
	Tenants  *tenants.Live
	Log      *zap.Logger
	Metrics  prometheus.Registerer
	Tasks    *sync.WaitGroup // counts the requests for an upstream's models
	Leaving  <-chan struct{} // ends them when it is closed
}

// NewModels returns the models of a registry.
func NewModels(o ModelsOptions) *Models {
	m := &Models{registry: o.Registry, tenants: o.Tenants, started: time.Now()}
	failures := metric.Register(o.Metrics, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "windlass_model_list_failures_total",
		Help: "Requests for the models of the wildcard's upstream that failed.",
	}))
	for _, model := range o.Registry.Models() {
		if model.Name == wildcard {
			m.upstream = New(model.Upstream, o.Tasks, o.Leaving, logFailures(o.Log, failures))
		}
	}
	return m
}

// logFailures logs why an upstream did not list its models, and skips a reason
// that is the same as the one before.
func logFailures(log *zap.Logger, failures prometheus.Counter) func(error) {
	var last string // there is one request at a time
	return func(err error) {
		failures.Inc()
		if text := err.Error(); text != last {
			last = text
			log.Warn("upstream's models not listed, GET /v1/models has the configured ones only", zap.Error(err))
		}
	}
}

// Routes are the routes of models.
func (s *Models) Routes() httpapi.Routes {
	return httpapi.Routes{
		"/v1/models":            {http.MethodGet: s.list},
		"/v1/models/{model...}": {http.MethodGet: s.read},
	}
}

// list is GET /v1/models: the models that the key may use, by name. A wildcard
// is replaced by what its upstream lists. If the upstream does not answer, only
// its models are missing.
func (s *Models) list(x *httpapi.Exchange, r *http.Request) error {
	var served []Entry
	if s.upstream != nil {
		ctx, cancel := context.WithTimeout(r.Context(), listWait)
		defer cancel()
		served = s.upstream.Models(ctx)
	}
	return x.SendJSON(httpapi.List[modelObject]{Object: "list", Data: s.visible(x.Who, served)})
}

// visible returns the configured models and those of the wildcard's upstream
// that a principal may use, by name.
func (s *Models) visible(who httpapi.Principal, served []Entry) []modelObject {
	all := []modelObject{}
	seen := map[string]bool{wildcard: true}
	for _, m := range s.registry.Models() {
		if !seen[m.Name] && s.maySee(who, m.Name) {
			all = append(all, s.modelObject(m.Name, Entry{}))
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
func (s *Models) modelObject(name string, e Entry) modelObject {
	return modelObject{
		ID:      name,
		Object:  "model",
		Created: cmp.Or(e.Created, s.started.Unix()),
		OwnedBy: cmp.Or(e.OwnedBy, "windlass"),
	}
}

// read is GET /v1/models/{model...}: any name that a request may use. Some
// clients escape a slash in a name, others do not.
func (s *Models) read(x *httpapi.Exchange, r *http.Request) error {
	name := r.PathValue("model")
	if _, f := s.Find(x.Who, name); f != nil {
		return f
	}
	var entry Entry
	for _, e := range s.knownModels() {
		if e.ID == name {
			entry = e
		}
	}
	if slices.ContainsFunc(s.registry.Models(), func(m registry.Model) bool { return m.Name == name }) {
		entry = Entry{} // it may be another upstream's
	}
	return x.SendJSON(s.modelObject(name, entry))
}

// knownModels returns what the wildcard's upstream has listed so far.
func (s *Models) knownModels() []Entry {
	if s.upstream == nil {
		return nil
	}
	return s.upstream.Known()
}

// maySee reports whether a principal's key and tenant may use a model.
func (s *Models) maySee(who httpapi.Principal, model string) bool {
	all := s.tenants.Find(who.Tenant).Models
	return who.MaySee(model) && (all == nil || slices.Contains(all, model))
}

// Find returns the model that a principal asks for. It answers alike for a
// model that does not exist and one that the principal may not use.
func (s *Models) Find(who httpapi.Principal, name string) (registry.Model, *fault.Error) {
	m, ok := s.registry.Model(name)
	if !ok || name == wildcard || !s.maySee(who, name) { // a wildcard serves other names than its own
		return registry.Model{}, &fault.Error{
			Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Param: "model",
			Message: fmt.Sprintf("The model '%s' does not exist or you do not have access to it.%s",
				httpapi.Excerpt(name), s.modelHint(who, name)),
		}
	}
	return m, nil
}

// modelHint names models that a principal may use: those near to the given
// name, or else the first ones.
func (s *Models) modelHint(who httpapi.Principal, name string) string {
	const most = 5
	var names []string
	for _, m := range s.visible(who, s.knownModels()) {
		names = append(names, m.ID)
	}
	for _, allowed := range who.Models { // of a wildcard whose upstream has not listed them
		if _, ok := s.registry.Model(allowed); ok && !slices.Contains(names, allowed) && s.maySee(who, allowed) {
			names = append(names, allowed)
		}
	}
	if meant := suggest.Names(name, names); len(meant) > 0 {
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

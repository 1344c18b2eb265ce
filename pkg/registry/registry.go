package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
)

// wildcard is the model that serves every name not listed.
const wildcard = "*"

// Registry holds what may be called. It is immutable and safe for concurrent
// use; do not change its slices and schemas.
type Registry struct {
	models  map[string]Model
	tools   map[string]Tool
	lanes   map[string]int
	limits  Limits
	tenants map[string]Tenant
}

// Lane is a queue of model calls and its number of slots.
type Lane struct {
	Name        string
	Concurrency int
}

// Model returns the model of that name, or the wildcard under that name; ok is
// false if there is neither.
func (r *Registry) Model(name string) (Model, bool) {
	if m, ok := r.models[name]; ok {
		return m, true
	}
	m, ok := r.models[wildcard]
	if !ok || !modelName.MatchString(name) {
		return Model{}, false
	}
	m.Name = name
	m.Upstream.Model = cmp.Or(m.Upstream.Model, name)
	return m, true
}

// Models returns the models listed, by name, with the wildcard if there is one.
func (r *Registry) Models() []Model {
	return sorted(r.models, func(m Model) string { return m.Name })
}

// File returns the registry as New takes it, with every default filled in, so
// that a caller can extend it.
func (r *Registry) File() File {
	return File{Models: r.Models(), Tools: r.Tools(), Limits: r.limits, Tenants: r.Tenants()}
}

func sorted[T any](all map[string]T, name func(T) string) []T {
	return slices.SortedFunc(maps.Values(all), func(a, b T) int { return cmp.Compare(name(a), name(b)) })
}

// Tool returns the tool of that name.
func (r *Registry) Tool(name string) (Tool, bool) {
	t, ok := r.tools[name]
	return t, ok
}

// Tools returns every tool, by name.
func (r *Registry) Tools() []Tool {
	return sorted(r.tools, func(t Tool) string { return t.Name })
}

// OfferedTo reports whether requests of a model may be offered the tool.
func (t Tool) OfferedTo(model string) bool {
	return t.Models == nil || slices.Contains(t.Models, model)
}

// Only returns the registry without the tools that are not among those named.
func (r *Registry) Only(tools []string) *Registry {
	some := *r
	some.tools = make(map[string]Tool, len(tools))
	for _, name := range tools {
		if t, ok := r.tools[name]; ok {
			some.tools[name] = t
		}
	}
	return &some
}

// Lanes returns the lanes of all models, by name.
func (r *Registry) Lanes() []Lane {
	lanes := make([]Lane, 0, len(r.lanes))
	for _, name := range slices.Sorted(maps.Keys(r.lanes)) {
		lanes = append(lanes, Lane{name, r.lanes[name]})
	}
	return lanes
}

// Pools returns the pools of all tools, by name.
func (r *Registry) Pools() []string {
	var pools []string
	for _, t := range r.tools {
		pools = append(pools, t.Pool)
	}
	slices.Sort(pools)
	return slices.Compact(pools)
}

// Limits returns the budgets of a request.
func (r *Registry) Limits() Limits { return r.limits }

// ValidateArguments checks that a call's arguments are JSON and match the
// tool's parameters. Its error wraps ErrArguments; the text is one short line
// for the model. It can quote the arguments, so never log it. Safe for
// concurrent use. A Tool that no Registry returned refuses all arguments.
func (t Tool) ValidateArguments(arguments []byte) error { return t.arguments.validate(arguments) }

// ParametersJSON returns the tool's schema for a model, keys in the order of
// the file.
func (t Tool) ParametersJSON() json.RawMessage { return json.RawMessage(t.Parameters) }

var (
	legalToken = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	notToken   = regexp.MustCompile(`[^a-zA-Z0-9_-]`)
	modelName  = regexp.MustCompile(`^[^\s\x00-\x1f\x7f]{1,256}$`)
)

// laneOf makes a lane's name of a model's. A name that must change to fit gets
// a digest appended, so that two models never share a lane by accident.
func laneOf(model string) string {
	if legalToken.MatchString(model) {
		return model
	}
	if model == wildcard {
		return "default"
	}
	const keep, digits = 57, 6 // with a dash, a token's 64
	sum := sha256.Sum256([]byte(model))
	fit := notToken.ReplaceAllString(model, "_")
	return fit[:min(len(fit), keep)] + "-" + hex.EncodeToString(sum[:])[:digits]
}

// Package dialect lists the APIs of model servers that Windlass can call.
//
// To add one: a constant in pkg/registry, a package below this one that
// implements model.Dialect, and a line in all (TestEveryDialectIsRegistered).
// Package history walks what a call sends of its conversation, package params
// has the parameters that OpenAI's two APIs share, and package rawjson reads
// answers whose members may have any type.
package dialect

import (
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/responsesapi"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

var all = map[string]model.Dialect{
	registry.Chat:      chat.Dialect{},
	registry.Responses: responsesapi.Dialect{},
}

// Named returns the dialect of that name in the registry. It panics if the name
// is unknown, because the registry accepts known names only.
func Named(name string) model.Dialect {
	d, ok := all[name]
	if !ok {
		panic("dialect: no dialect named " + name)
	}
	return d
}

// TokenCounter is a dialect with an endpoint that counts the tokens of an
// input.
type TokenCounter interface {
	// CountPath returns the path of the endpoint.
	CountPath() string
	// EncodeCount returns the body of the request, or an error that wraps
	// model.ErrUnsupported.
	EncodeCount(c model.Call) ([]byte, error)
	// DecodeCount returns the number of tokens, or an error that wraps
	// model.ErrMalformed.
	DecodeCount(body []byte) (int64, error)
}

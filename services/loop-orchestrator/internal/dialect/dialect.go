// Package dialect lists the APIs of model servers that Windlass can call.
//
// To add one: a constant in pkg/registry, a package below this one that
// implements model.Dialect, and a line in all (TestEveryDialectIsServed). Walk
// the call's history with package history; read answers with package rawjson.
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

// Named returns the dialect that the registry calls name. It panics if there is
// no such dialect: the registry has validated the name.
func Named(name string) model.Dialect {
	d, ok := all[name]
	if !ok {
		panic("dialect: no dialect named " + name)
	}
	return d
}

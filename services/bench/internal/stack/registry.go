package stack

import (
	"strings"

	"windlass.dev/windlass/services/bench/internal/client"
	"windlass.dev/windlass/services/mock"
)

// RegistryFile has a model and a tool whose limits no measurement reaches.
func RegistryFile(mockURL, dialect string) string {
	return `models:
  - name: ` + client.ModelName + `
    upstream: {url: "` + mockURL + `/v1", dialect: ` + dialect + `}
    concurrency: 1024
tools:
  - name: ` + client.ToolName + `
    description: ` + client.ToolDescription + `
    url: "` + mockURL + `/tools/` + client.ToolName + `"
    allow_private: true
    parameters: ` + strings.ReplaceAll(mock.ToolSchema, "\n", " ") + `
`
}

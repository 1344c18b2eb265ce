package stack

import (
	"strings"

	"windlass.dev/windlass/services/bench/internal/client"
	"windlass.dev/windlass/services/mock"
)

// RegistryFile returns a registry of one model and one tool, with limits that
// no measurement reaches.
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

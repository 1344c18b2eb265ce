// Package client makes the runs of the benchmark: through the services, and by
// a plain loop beside them. Both compare each answer with the one its plan must
// have.
package client

// What a measurement calls.
const (
	ModelName       = "bench"
	ToolName        = "mock_echo"
	ToolDescription = "Answers a number that follows from its arguments."
	APIKey          = "wl-bench"
)
